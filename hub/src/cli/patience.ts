import { asMusterError, MusterError } from "@muster/shared";
import type { Session } from "./session.js";

const retryMs = 2000;
const patienceMs = 300_000;

/** Repeats questions to a hub that has answered before and is away for a while, such as for a restart. */
export class Patience {
  readonly #session: Session;
  #answered = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The answer. The first question is never repeated; later ones for up to five minutes without any answer. */
  async ask<T>(question: () => Promise<T>, signal: AbortSignal, untilMs = Number.POSITIVE_INFINITY): Promise<T> {
    const { io, nowMs: startedMs } = this.#session;
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await question();
        if (tries > 1) this.#session.note("the hub answers again");
        this.#answered = true;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        const away = error instanceof MusterError && error.code === "hub/unreachable";
        const nextMs = io.clock.now() + retryMs;
        if (!away || !this.#answered || nextMs > Math.min(startedMs + patienceMs, untilMs)) throw error;
        if (tries === 1) this.#session.note(`${asMusterError(error).message} Trying again.`);
        await io.clock.sleep(retryMs, signal);
      }
    }
  }
}
