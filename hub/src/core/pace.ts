/** A rate limit: says how long to wait before sending, so that the mean rate stays at or below the limit. */
export class Pace {
  readonly #bytesPerSecond: number;
  #freeAtMs: number;

  /** `bytesPerSecond` 0 means no limit. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#freeAtMs = nowMs;
  }

  /** Milliseconds to wait before `bytes` may go out; they count as sent from then on. */
  take(bytes: number, nowMs: number): number {
    if (this.#bytesPerSecond === 0) return 0;
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (1000 * bytes) / this.#bytesPerSecond;
    return startMs - nowMs;
  }
}
