import type { ReportedModel } from "@muster/shared";
import type { ModelState } from "../state.js";
import { isStepDown } from "./provider-plan.js";

/** What the runner says of a version in memory. */
export interface Placed {
  readonly manifestDigest: string;
  readonly running: NonNullable<ReportedModel["running"]>;
}

/**
 * Whether the version in service runs on a slower provider than was chosen for it, or than the version before it ran on,
 * and because of which attempt. It is no fall when the trial found the faster provider to be slower for this model.
 */
export function fallbackOf(state: ModelState, placed: Placed | undefined): ReportedModel["fallback"] {
  const { candidate, committed, previous, trial } = state;
  const onProbation = candidate?.phase === "probation";
  const now = onProbation ? { ...candidate, manifest: candidate.manifest.sha256 } : committed;
  const before = onProbation ? committed : previous;
  if (now?.provider === undefined) return undefined;
  const { attempt, version, provider } = now;
  if (placed?.manifestDigest === now.manifest) {
    const { requested, actual, reason = "no reason is known" } = placed.running;
    if (isStepDown(requested, actual)) {
      return told(attempt, `${version} was to run on ${requested} and runs on ${actual}: ${reason}`);
    }
  }
  if (before === undefined || !isStepDown(before.provider, provider) || trial?.attempt !== attempt) return undefined;
  const tried = trial.tried.filter((one) => one.provider === before.provider);
  if (tried.some(({ rejected }) => rejected === undefined)) return undefined;
  const reason = tried[0]?.rejected?.detail ?? `${before.provider} is not there any more`;
  return told(attempt, `${before.version} ran on ${before.provider}, ${version} runs on ${provider}: ${reason}`);
}

function told(attempt: string, detail: string) {
  return { attempt, detail: detail.slice(0, 2000) };
}
