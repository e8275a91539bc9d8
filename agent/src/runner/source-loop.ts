import { backoffMs, type Clock, messageOf } from "@muster/shared";
import type { Intake } from "./intake.js";

export interface SourceLoopDeps {
  readonly intake: Intake;
  readonly clock: Clock;
  /** The pause after a failure, longer each time. */
  readonly retry: { readonly baseMs: number; readonly capMs: number };
  /** It is never shorter than this. */
  readonly leastMs?: number;
  /**
   * Does a part of what the source is there for, and returns after how many ms the next part begins; undefined when there is
   * nothing more to do. `good` says that it works, which ends a row of failures. What it throws is told, and it is tried again.
   */
  readonly work: (good: () => void) => Promise<number | undefined>;
}

/** What a source does again and again, while its inputs could be answered: else nothing is even asked for. */
export class SourceLoop {
  readonly #deps: SourceLoopDeps;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** Begins at once. */
  constructor(deps: SourceLoopDeps) {
    this.#deps = deps;
    this.#running = this.#run();
  }

  /** Given when the source closes. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Gives the signal. */
  stop(): void {
    this.#stop.abort();
  }

  /** Resolves when the work is over that the signal has ended. */
  over(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { intake, clock, retry, leastMs = 0, work } = this.#deps;
    const { signal } = this;
    let failures = 0;
    const good = () => {
      failures = 0;
    };
    while (await intake.room(signal)) {
      let waitMs: number | undefined;
      try {
        waitMs = await work(good);
        if (waitMs === undefined) return;
      } catch (error) {
        if (signal.aborted) return;
        intake.standing.failed(messageOf(error), error);
        waitMs = Math.max(leastMs, backoffMs(retry, failures, Math.random()));
        failures += 1;
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }
}
