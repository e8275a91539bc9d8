import { asMusterError, MusterError } from "@muster/shared";
import type { Session } from "./session.js";

const retryMs = 2000;
const patienceMs = 300_000;

/** Repeats questions to a hub that has answered before and is away for a while, such as for a restart. */
export class Patience {
  readonly #session: Session;
  readonly #tell: (text: string) => void;
  readonly #untilMs: number;
  #answered = false;

  /** `tell` gets what the user should know of it. Past `untilMs` nothing is repeated any more. */
  constructor(session: Session, tell: (text: string) => void, untilMs = Number.POSITIVE_INFINITY) {
    this.#session = session;
    this.#tell = tell;
    this.#untilMs = untilMs;
  }

  /** The answer. The first question is never repeated; later ones for up to five minutes without any answer. */
  async ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { io, nowMs: startedMs } = this.#session;
    const untilMs = Math.min(startedMs + patienceMs, this.#untilMs);
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await question();
        if (tries > 1) this.#tell("the hub answers again");
        this.#answered = true;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        const away = error instanceof MusterError && error.code === "hub/unreachable";
        const leftMs = untilMs - io.clock.now();
        if (!away || !this.#answered || leftMs <= 0) throw error;
        if (tries === 1) this.#tell(`${asMusterError(error).message} Trying again.`);
        await io.clock.sleep(Math.min(retryMs, leftMs), signal);
      }
    }
  }
}
