import { asMusterError, MusterError } from "@muster/shared";
import type { Session } from "./session.js";

const retryMs = 2000;
const patienceMs = 300_000;

/** Repeats questions to a hub that has answered before and is away for a while, such as for a restart. */
export class Patience {
  readonly #session: Session;
  readonly #untilMs: number;
  #answered = false;

  /** Past `untilMs` nothing is repeated any more. */
  constructor(session: Session, untilMs = Number.POSITIVE_INFINITY) {
    this.#session = session;
    this.#untilMs = untilMs;
  }

  /** The answer. The first question is never repeated; later ones for up to five minutes without any answer. */
  async ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { io, nowMs: startedMs } = this.#session;
    const untilMs = Math.min(startedMs + patienceMs, this.#untilMs);
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await question();
        if (tries > 1) this.#session.note("the hub answers again");
        this.#answered = true;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        const away = error instanceof MusterError && error.code === "hub/unreachable";
        const leftMs = untilMs - io.clock.now();
        if (!away || !this.#answered || leftMs <= 0) throw error;
        if (tries === 1) this.#session.note(`${asMusterError(error).message} Trying again.`);
        await io.clock.sleep(Math.min(retryMs, leftMs), signal);
      }
    }
  }
}
