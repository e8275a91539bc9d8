import type { Facts } from "./core/next-step.js";

/** How long the runner has been away, and how often it ended since it last served. Times are steady. */
export class Outage {
  #now: { readonly sinceMs: number; readonly ends: number } | undefined;

  ended(atMs: number): void {
    const { sinceMs, ends } = this.#now ?? { sinceMs: atMs, ends: 0 };
    this.#now = { sinceMs, ends: ends + 1 };
  }

  over(): void {
    this.#now = undefined;
  }

  facts(atMs: number): Facts["runnerDown"] {
    return this.#now && { ms: atMs - this.#now.sinceMs, ends: this.#now.ends };
  }
}
