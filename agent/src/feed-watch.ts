import type { Clock } from "@muster/shared";
import { type FeedReports, feedsChanged } from "./core/feed-change.js";
import { Rhythm } from "./rhythm.js";

export interface FeedWatchDeps {
  /** Undefined while no runner answers. */
  readonly feeds: () => Promise<FeedReports | undefined>;
  /** How often to look. */
  readonly everyMs: number;
  readonly onChange: () => void;
  readonly clock: Clock;
}

/** Looks at sources and sinks in a fixed rhythm, and says when the hub should hear of them. */
export function feedWatch({ feeds, everyMs, onChange, clock }: FeedWatchDeps): Rhythm {
  let told: FeedReports | undefined;
  return new Rhythm(everyMs, clock, async () => {
    const now = await feeds();
    if (now === undefined || !feedsChanged(told, now)) return;
    told = now;
    onChange();
  });
}
