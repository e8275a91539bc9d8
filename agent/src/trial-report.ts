import type { DeviceError, TrialReport, TriedCandidate } from "@muster/shared";
import type { TrialCandidate } from "./core/provider-plan.js";
import type { VariantPlan } from "./core/variant-plan.js";
import type { TrialResult } from "./runner/protocol.js";

/** A report is kept and sent with every change of state, so a candidate's reason is kept short in it. */
const maxReason = 300;

/** What the hub is told of a trial. */
export function trialReport(
  about: Pick<TrialReport, "attempt" | "version" | "atMs">,
  result: TrialResult,
  skipped: VariantPlan["skipped"],
  /** The variants that were here: a plan made later may leave out what is. */
  here: readonly string[] = [],
): TrialReport {
  const chosen =
    result.kind === "passed"
      ? { chosen: { variant: result.variant, provider: result.provider, threads: result.threads } }
      : {};
  return {
    ...about,
    ...chosen,
    tried: result.tried.map(shortened).slice(0, 64),
    skipped: skipped.filter(({ what }) => !here.includes(what)).slice(0, 64),
    remembered: result.kind === "passed" && result.remembered,
  };
}

/** A candidate in words. */
export function candidateText({ variant, provider, threads }: TrialCandidate): string {
  return `${variant} on ${provider} with ${threads} ${threads === 1 ? "thread" : "threads"}`;
}

function shortened({ rejected, ...tried }: TriedCandidate): TriedCandidate {
  if (rejected === undefined) return tried;
  const short: DeviceError = { ...rejected, detail: rejected.detail.slice(0, maxReason) };
  return { ...tried, rejected: short };
}
