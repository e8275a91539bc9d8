import type { Clock } from "@muster/shared";

/** Does the work again and again with the same pause before each time, until it is closed. The work must not throw. */
export class Rhythm {
  readonly #pauseMs: number;
  readonly #clock: Clock;
  readonly #work: () => Promise<void>;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(pauseMs: number, clock: Clock, work: () => Promise<void>) {
    this.#pauseMs = pauseMs;
    this.#clock = clock;
    this.#work = work;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Resolves when the work is over that was under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await this.#clock.sleep(this.#pauseMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#work();
    }
  }
}
