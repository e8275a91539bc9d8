import type { Log } from "@muster/shared";

/** A log that says nothing. */
export const quiet: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export function nothing(): void {
  // Nobody listens to a benchmark's events.
}
