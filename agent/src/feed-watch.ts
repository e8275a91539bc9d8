import type { Clock } from "@muster/shared";
import { type FeedReports, feedsChanged } from "./core/feed-change.js";

export interface FeedWatchDeps {
  /** Undefined while no runner answers. */
  readonly feeds: () => Promise<FeedReports | undefined>;
  /** How often to look. */
  readonly everyMs: number;
  readonly onChange: () => void;
  readonly clock: Clock;
}

/** Looks at sources and sinks in a fixed rhythm, and says when the hub should hear of them. */
export class FeedWatch {
  readonly #deps: FeedWatchDeps;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(deps: FeedWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { feeds, everyMs, onChange, clock } = this.#deps;
    let told: FeedReports | undefined;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(everyMs, this.#stop.signal).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      const now = await feeds();
      if (now === undefined || !feedsChanged(told, now)) continue;
      told = now;
      onChange();
    }
  }
}
