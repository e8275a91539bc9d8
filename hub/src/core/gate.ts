import type { RolloutSettings } from "@muster/shared";

/** What was seen of the devices of one wave. */
export interface Evidence {
  /** Devices of the wave. */
  readonly devices: number;
  /** Devices that have not been reachable since they were offered the version. */
  readonly laggards: number;
  /** Devices that took the offer up, whatever became of it. */
  readonly started: number;
  readonly committed: number;
  readonly failed: number;
  /** Devices on which the version runs on a slower provider than it was to, or than the version before it. */
  readonly fellBack: number;
  /** One sentence on a device that fell back, for the reason. */
  readonly fallback?: string;
  /** One sentence on a device that failed, for the reason. */
  readonly example?: string;
}

/** What the evidence means for the wave. */
export type Verdict =
  | { readonly kind: "pass" }
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "fail"; readonly reason: string };

type Limits = Pick<RolloutSettings, "successPercent" | "errorPercent" | "minExecuted" | "fallbackPercent">;

/**
 * Judges one wave. Failure is tested before success, and shares are of *started* devices, so that
 * unreachable ones neither block a wave nor soften it. The error share counts once `minExecuted`
 * devices have finished, or all that can; the share that fell back to a slower provider, which shows on probation
 * already, once so many have started. A wave of which nobody finished does not pass.
 */
export function judge(limits: Limits, seen: Evidence): Verdict {
  const { devices, laggards, started, committed, failed } = seen;
  const executed = committed + failed;
  const reachable = devices - laggards;
  const enough = executed >= Math.min(limits.minExecuted, reachable);
  const figures = `${committed} committed, ${failed} failed of ${started} started, ${laggards} unreachable`;
  if (failed > 0 && enough && (100 * failed) / started > limits.errorPercent) {
    const example = seen.example === undefined ? "" : `; ${seen.example}`;
    return { kind: "fail", reason: `${figures}: more than ${limits.errorPercent} % failed${example}` };
  }
  if (
    seen.fellBack > 0 &&
    started >= Math.min(limits.minExecuted, reachable) &&
    (100 * seen.fellBack) / started > limits.fallbackPercent
  ) {
    const example = seen.fallback === undefined ? "" : `; ${seen.fallback}`;
    const share = `more than ${limits.fallbackPercent} % run on a slower provider`;
    return { kind: "fail", reason: `${seen.fellBack} of ${started} started fell back: ${share}${example}` };
  }
  if (executed === 0 || executed < reachable) {
    return { kind: "wait", reason: executed === 0 && reachable === 0 ? `no device of the wave is reachable` : figures };
  }
  if ((100 * committed) / started < limits.successPercent) {
    const example = seen.example === undefined ? "" : `; ${seen.example}`;
    return { kind: "fail", reason: `${figures}: less than ${limits.successPercent} % committed${example}` };
  }
  return { kind: "pass" };
}
