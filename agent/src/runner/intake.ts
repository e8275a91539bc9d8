import { randomUUID } from "node:crypto";
import { asMusterError, type Clock, type Log, MusterError, messageOf, type SourceReport } from "@muster/shared";
import { defaultImageLimits } from "@muster/shared/inference";
import type { Sink } from "./sink.js";
import type { Answerer } from "./source.js";
import { Standing } from "./standing.js";

export interface IntakeDeps {
  /** What the source is, as its report names it. */
  readonly about: Pick<SourceReport, "type" | "target" | "model">;
  readonly answerer: Answerer;
  readonly sinks: readonly Sink[];
  readonly clock: Clock;
  readonly log: Log;
}

/** One input, as a source found it. */
export interface Input {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Absent for a picture. */
  readonly contentType?: string;
}

/** What became of an input: its answer is with the sinks, it is at fault and was counted, or the source closes. */
export type Taken = "answered" | "refused" | "closing";

/** How soon to look again whether there is room, and whether a version serves. */
const roomMs = 20;
const servingMs = 250;
/** An input on which the model fails is tried so often; a roll-back may come meanwhile. */
const maxTries = 3;
const againMs = 500;

/** The way of one source's inputs through the model to the sinks, at the pace these can bear; counts what it does. */
export class Intake {
  readonly standing: Standing;
  readonly #deps: IntakeDeps;
  #taken = 0;
  #failed = 0;
  #dropped = 0;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.standing = new Standing(deps.log, "runner.source.failed", deps.about.target);
  }

  /** Resolves true once an input would be taken at once, and false when the signal comes first. */
  async room(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      const obstacle = this.#obstacle();
      if (obstacle === undefined) return true;
      if (obstacle.reason !== undefined) this.standing.waiting(obstacle.reason);
      await this.#pause(obstacle.againMs, signal);
    }
    return false;
  }

  /** Answers an input, as late as it takes, and gives the answer to the sinks. Never throws. */
  async take(input: Input, signal: AbortSignal): Promise<Taken> {
    for (let tries = 1; ; ) {
      if (!(await this.room(signal))) return "closing";
      this.standing.running();
      try {
        await this.#answer(input);
        return "answered";
      } catch (error) {
        const { code } = asMusterError(error);
        // Taken by others between the look and the call: wait again.
        if (code === "runner/overloaded" || code === "runner/not-serving" || code === "model/unknown") {
          await this.#pause(roomMs, signal);
          continue;
        }
        if (/^(?:engine|runner|internal)/.test(code) && tries < maxTries) {
          tries += 1;
          await this.#pause(againMs, signal);
          continue;
        }
        this.refuse(input.name, error);
        return "refused";
      }
    }
  }

  /** Counts an input that is given up. */
  refuse(name: string, error: unknown): void {
    this.#taken += 1;
    this.#failed += 1;
    this.standing.complain(`${name}: ${messageOf(error)}`, error);
  }

  /** Counts inputs that were let go unseen. */
  drop(count = 1): void {
    this.#dropped += count;
  }

  /** Resolves when every answer so far will survive a crash. Throws `sink/failed` while it would not. */
  async safe(): Promise<void> {
    await Promise.all(this.#deps.sinks.map((sink) => sink.sync()));
  }

  report(): SourceReport {
    const counts = { taken: this.#taken, failed: this.#failed, dropped: this.#dropped };
    return { ...this.#deps.about, ...this.standing.report(), ...counts };
  }

  async #answer({ name, bytes, contentType }: Input): Promise<void> {
    const { about, answerer, sinks, clock } = this.#deps;
    checkSize(bytes.length);
    const { target: source, model } = about;
    const { version, answers } = await answerer.answer(model, bytes, contentType);
    const atMs = clock.now();
    for (const answer of answers) {
      const record = { ...answer, id: randomUUID(), atMs, source, input: name, model, version };
      for (const sink of sinks) sink.add(record);
    }
    this.#taken += 1;
  }

  /** What keeps an input from being taken; without a reason when it is only the work of this moment. */
  #obstacle(): { readonly againMs: number; readonly reason?: string } | undefined {
    const { about, answerer, sinks } = this.#deps;
    const full = sinks.find((sink) => sink.full)?.status();
    if (full !== undefined) return { againMs: servingMs, reason: `${full.type} ${full.target} takes no more answers` };
    const state = answerer.state(about.model);
    if (state === "open") return undefined;
    return state === "full"
      ? { againMs: roomMs }
      : { againMs: servingMs, reason: `no version of ${about.model} serves` };
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(ms, signal).catch(() => undefined);
  }
}

/** The most bytes of one input, whatever it is. */
export const maxInputBytes = defaultImageLimits.maxBytes;

/** Throws `image/too-large` when an input has more bytes than may be taken. */
export function checkSize(sizeBytes: number): void {
  if (sizeBytes <= maxInputBytes) return;
  throw new MusterError("image/too-large", `the input has ${sizeBytes} bytes, at most ${maxInputBytes} are taken`);
}
