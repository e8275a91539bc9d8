import { MusterError } from "@muster/shared";
import type { Priority } from "../core/line.js";

/** How a request wants to be treated. */
export interface Wishes {
  readonly priority?: Priority | undefined;
  /** How long it waits for its answer at most. */
  readonly timeoutMs?: number | undefined;
}

/** No request is worked on longer, whatever it asks for. */
export const longestTimeoutMs = 600_000;

/**
 * Who waits for an answer: how urgently, and whether still. It ends when the time is over, or when the client has gone away;
 * what has not begun by then is not begun any more.
 */
export class Ticket {
  readonly priority: Priority;
  readonly #listeners = new Set<(why: MusterError) => void>();
  readonly #timer: NodeJS.Timeout | undefined;
  #why: MusterError | undefined;

  /** Without a time it waits as long as it takes. Call {@link close} in the end. */
  constructor({ priority = "normal", timeoutMs }: Wishes = {}) {
    this.priority = priority;
    if (timeoutMs === undefined) return;
    this.#timer = setTimeout(
      () => {
        const message = `there was no answer within ${Math.round(timeoutMs)} ms; try again later`;
        this.end(new MusterError("runner/deadline", message));
      },
      Math.min(timeoutMs, longestTimeoutMs),
    );
  }

  /** Why nobody waits any more, or undefined while somebody does. */
  get why(): MusterError | undefined {
    return this.#why;
  }

  /** Nobody waits any more. */
  end(why: MusterError): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    for (const listener of [...this.#listeners]) listener(why);
  }

  /** Calls the listener once when it ends, until the returned function is called. It must not have ended yet. */
  onEnd(listener: (why: MusterError) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The work, or the ticket's end if that comes first; then the work's own outcome is nobody's any more. */
  async first<T>(work: Promise<T>): Promise<T> {
    if (this.#why !== undefined) throw this.#why;
    let forget: () => void = () => undefined;
    const ended = new Promise<never>((_resolve, reject) => {
      forget = this.onEnd(reject);
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      forget();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
