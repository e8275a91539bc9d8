import { type FeedState, type Log, messageOf } from "@muster/shared";

const maxText = 500;

/** How a source or sink stands, and what went wrong last. */
export class Standing {
  readonly #log: Log;
  readonly #event: string;
  readonly #target: string;
  #state: FeedState = "starting";
  #reason: string | undefined;
  #lastError: string | undefined;
  #logged: string | undefined;

  /** Complaints are logged as `event` with the target. */
  constructor(log: Log, event: string, target: string) {
    this.#log = log;
    this.#event = event;
    this.#target = target;
  }

  get state(): FeedState {
    return this.#state;
  }

  running(): void {
    this.#state = "running";
    this.#reason = undefined;
  }

  waiting(reason: string): void {
    this.#state = "waiting";
    this.#reason = reason.slice(0, maxText);
  }

  /** It does not work now, and tries again. */
  failed(text: string, error?: unknown): void {
    this.complain(text, error);
    this.#state = "failed";
    this.#reason = undefined;
  }

  /** Something went wrong and it goes on. What goes wrong again and again, be it with other inputs, is logged once. */
  complain(text: string, error: unknown = text): void {
    const detail = text.slice(0, maxText);
    const logged = this.#logged;
    this.#lastError = detail;
    this.#logged = messageOf(error);
    if (logged !== this.#logged) this.#log.warn(this.#event, { target: this.#target, detail, reason: this.#logged });
  }

  /** The part of a report that is about this. */
  report(): { state: FeedState; reason?: string; lastError?: string } {
    return {
      state: this.#state,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }
}
