/**
 * A rate limit: says how long to wait before going on, so that the mean rate stays at or below the limit.
 * After a pause, `burst` units go without a wait.
 */
export class Pace {
  readonly #perSecond: number;
  readonly #burstMs: number;
  #freeAtMs: number;

  /** `perSecond` 0 means no limit. */
  constructor(perSecond: number, nowMs: number, burst = 0) {
    this.#perSecond = perSecond;
    this.#burstMs = perSecond === 0 ? 0 : (1000 * burst) / perSecond;
    this.#freeAtMs = nowMs - this.#burstMs;
  }

  /** Milliseconds to wait before `units` may go; they count as gone from then on. */
  take(units: number, nowMs: number): number {
    if (this.#perSecond === 0) return 0;
    const startMs = Math.max(nowMs - this.#burstMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (1000 * units) / this.#perSecond;
    return Math.max(0, startMs - nowMs);
  }

  /** Milliseconds until one more unit could go; takes nothing. */
  waitMs(nowMs: number): number {
    return this.#perSecond === 0 ? 0 : Math.max(0, this.#freeAtMs - nowMs);
  }

  /** Whether one more unit could go now; takes nothing. */
  free(nowMs: number): boolean {
    return this.waitMs(nowMs) === 0;
  }

  /** Whether it is as if nothing had ever gone, so that forgetting it changes nothing. */
  rested(nowMs: number): boolean {
    return this.#freeAtMs <= nowMs - this.#burstMs;
  }
}
