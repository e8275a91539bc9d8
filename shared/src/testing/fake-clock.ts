import type { Clock } from "../ports.js";

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #nowMs: number;
  #steadyMs = 0;
  readonly #sleepers = new Set<{ untilMs: number; wake: () => void }>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  steady(): number {
    return this.#steadyMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const sleeper = { untilMs: this.#steadyMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Sets the time of day forward, or back; nothing that waits is nearer to its end. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves time on and wakes whoever slept until then. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#steadyMs += ms;
    for (const sleeper of [...this.#sleepers].sort((a, b) => a.untilMs - b.untilMs)) {
      if (sleeper.untilMs > this.#steadyMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
