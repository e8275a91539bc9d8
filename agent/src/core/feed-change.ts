import type { SinkReport, SourceReport } from "@muster/shared";

/** The sources and sinks of a device at one moment. */
export interface FeedReports {
  readonly sources: readonly SourceReport[];
  readonly sinks: readonly SinkReport[];
}

/**
 * Whether the hub should be told now: a state or complaint changed, or something was lost since it was told. Counts that
 * rise with every input wait for the next report.
 */
export function feedsChanged(told: FeedReports | undefined, now: FeedReports): boolean {
  return told === undefined || essence(told) !== essence(now);
}

function essence({ sources, sinks }: FeedReports): string {
  return JSON.stringify([
    ...sources.map(({ state, reason, lastError, failed }) => [state, reason, lastError, failed > 0]),
    ...sinks.map(({ state, lastError, failed, dropped }) => [state, lastError, failed > 0, dropped > 0]),
  ]);
}
