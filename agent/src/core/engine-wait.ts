import { formatBytes } from "@muster/shared";

/** So long engines that others built are waited for, all of an offer together: about what a build costs on a slow board. */
export const engineWaitMs = 10 * 60_000;
/** Before this nothing can be said of the rate. */
const fairMs = 60_000;
/** A link that is gone for so long may stay so. */
const goneLimitMs = 60_000;

/** How it stands with the engine that is waited for. */
export interface EngineWaitFacts {
  /** Since the first engine of the offer was looked at. */
  readonly elapsedMs: number;
  /** While it is being fetched. */
  readonly fetch?: {
    /** Time spent fetching engines of the offer, and what came in it. */
    readonly spentMs: number;
    readonly cameBytes: number;
    /** What has still to come of this one. */
    readonly leftBytes: number;
    /** How long there has been no connection. */
    readonly goneMs: number;
    /** Why nothing may be fetched now. */
    readonly paused?: string | undefined;
  };
}

/** Why an engine is better built here than waited for any longer; undefined when it is not. A build costs time and no data. */
export function whyBuild({ elapsedMs, fetch }: EngineWaitFacts): string | undefined {
  const late = `within ${engineWaitMs / 60_000} min`;
  if (elapsedMs >= engineWaitMs) return `it did not come ${late}`;
  if (fetch === undefined) return undefined;
  const { spentMs, cameBytes, leftBytes, goneMs, paused } = fetch;
  if (paused !== undefined) return `nothing may be fetched now: ${paused}`;
  if (goneMs >= goneLimitMs) return `there has been no connection for ${Math.round(goneMs / 1000)} s`;
  if (spentMs < fairMs || leftBytes * spentMs <= cameBytes * (engineWaitMs - elapsedMs)) return undefined;
  const rate = `${formatBytes(Math.round((cameBytes * 1000) / spentMs))} per second`;
  return `at ${rate} the ${formatBytes(leftBytes)} that are left do not come ${late}`;
}
