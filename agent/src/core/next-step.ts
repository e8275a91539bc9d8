import type { DeviceError, Outcome, Wanted } from "@muster/shared";
import type { Candidate, Installed, ModelState } from "../state.js";
import { type Agreement, judgeShadow } from "./shadow.js";

/** What can be seen from outside of the durable state. */
export interface Facts {
  /** How long the candidate has been in its phase. */
  readonly phaseMs: number;
  /** What the version on probation did since it was activated. */
  readonly probation: { readonly fault?: DeviceError; readonly inputs: number; readonly errors: number };
  /** What the version in the shadow said beside the one that serves. */
  readonly shadow: Agreement;
  /** The runner was started again since, and knows nothing of the version in the shadow or on probation. */
  readonly lost: boolean;
  /** The runner does not serve now: for how long, and how often it ended since it last did. */
  readonly runnerDown: { readonly ms: number; readonly ends: number } | undefined;
  /** How the runner ended because of the committed version in the last {@link crashLoopMs}, oldest first. */
  readonly recentFaults: readonly DeviceError[];
  /** Other models serve beside this one, and nobody but its committed version made a crash loop. */
  readonly harmsOthers: boolean;
  /** What is wanted is too old to act on: what serves goes on, and nothing new begins. */
  readonly expired: boolean;
  /** Manifests of versions of which a file is not on the disk as it should be. */
  readonly damaged: ReadonlySet<string>;
}

/** One thing to do for one model. Every step is durable when it is done, and may be repeated after a crash. */
export type Step =
  | { readonly do: "begin"; readonly wanted: Wanted }
  | { readonly do: "acknowledge"; readonly wanted: Wanted }
  | { readonly do: "repair"; readonly installed: Installed; readonly wanted: Wanted | undefined }
  | { readonly do: "describe" }
  | { readonly do: "download" }
  | { readonly do: "begin-trial" }
  | { readonly do: "trial" }
  | { readonly do: "begin-shadow" }
  | { readonly do: "activate" }
  | { readonly do: "commit" }
  | { readonly do: "give-up"; readonly outcome: Outcome; readonly error: DeviceError }
  | { readonly do: "fall-back"; readonly error: DeviceError }
  | { readonly do: "remove" };

/** So many starts of a trial without an end mean that the version takes the device down with it. */
export const maxTrialStarts = 3;
/** So many ends of the runner within {@link crashLoopMs} are a crash loop. */
export const crashLoopCount = 3;
export const crashLoopMs = 180_000;
/** Longest time in each phase, except in the shadow and on probation, whose length the hub sets. */
export const phaseLimitMs: Readonly<Record<Exclude<Candidate["phase"], "shadow" | "probation">, number>> = {
  offered: 3_600_000,
  downloading: 7 * 86_400_000,
  verified: 3_600_000,
  trial: 3_600_000,
  proven: 3_600_000,
};
/** How long a version waits for a runner that is being started again; large models take minutes to load. */
const runnerWaitMs = 1_800_000;
/** How long a version waits in the shadow for enough inputs, after its time there. */
const shadowGraceMs = 3_600_000;
/** On probation, more than this share of failed inputs sends a version back, once {@link minProbationInputs} were seen. */
const maxErrorShare = 0.05;
const minProbationInputs = 20;

/**
 * The one step that brings a model closer to what the hub wants, or undefined when there is nothing to
 * do now. Misbehaviour comes first, then a change of what is wanted, then time, then progress.
 */
export function nextStep(wanted: Wanted | undefined, state: ModelState, facts: Facts): Step | undefined {
  const { candidate, committed } = state;
  if (candidate !== undefined) return candidateStep(candidate, committed !== undefined, wanted, facts);
  const last = facts.recentFaults.at(-1);
  const looping = last !== undefined && facts.recentFaults.length >= crashLoopCount;
  // With nothing to go back to, a version that serves now and then is better than none, unless others pay for it.
  if (looping && (state.previous !== undefined || (committed !== undefined && facts.harmsOthers))) {
    const why = `${last.detail}; ${facts.recentFaults.length} times within ${crashLoopMs / 1000} s`;
    const detail = state.previous === undefined ? `${why}; it is taken out, because other models serve here` : why;
    return { do: "fall-back", error: { code: last.code, detail } };
  }
  const isWanted = wanted !== undefined && committed?.manifest === wanted.manifest.sha256;
  // What was accepted once may be made whole again whatever has expired; the hub sends what it has once wanted here.
  const repair = repairStep(wanted, state, facts.damaged);
  if (facts.expired || (isWanted && repair?.installed === committed)) return repair;
  if (wanted === undefined) {
    const gone = committed === undefined && state.previous === undefined;
    return gone || facts.runnerDown !== undefined ? undefined : { do: "remove" };
  }
  if (state.finished.some(({ attempt }) => attempt === wanted.attempt)) return repair;
  return { do: isWanted ? "acknowledge" : "begin", wanted };
}

/** What serves is made whole before what it could give way to. */
function repairStep(wanted: Wanted | undefined, { committed, previous }: ModelState, damaged: Facts["damaged"]) {
  const installed = [committed, previous].find((entry) => entry !== undefined && damaged.has(entry.manifest));
  if (installed === undefined) return undefined;
  const same = installed.manifest === wanted?.manifest.sha256 ? wanted : undefined;
  return { do: "repair", installed, wanted: same } as const;
}

function candidateStep(
  candidate: Candidate,
  hasCommitted: boolean,
  wanted: Wanted | undefined,
  facts: Facts,
): Step | undefined {
  const { phaseMs, probation, expired, runnerDown } = facts;
  const { phase } = candidate;
  if (phase === "probation" && probation.fault !== undefined) {
    const { code, detail } = probation.fault;
    return giveUp("rolled-back", code, `${detail} while this version was on probation`);
  }
  if (phase === "shadow" && probation.fault !== undefined) {
    const { code, detail } = probation.fault;
    return giveUp("rejected", code, `${detail} while this version ran in the shadow`);
  }
  if (phase === "proven" && probation.fault !== undefined) {
    const { code, detail } = probation.fault;
    return giveUp("rejected", code, `${detail} while this version was loaded`);
  }
  if (
    phase === "probation" &&
    probation.inputs >= minProbationInputs &&
    probation.errors / probation.inputs > maxErrorShare
  ) {
    return giveUp("rolled-back", "E_PROVIDER", `${probation.errors} of ${probation.inputs} inputs failed on probation`);
  }
  if (expired && phase !== "probation") return undefined;
  if (wanted === undefined) return giveUp("cancelled", "E_CANCEL", "the hub no longer wants this model here");
  if (wanted.attempt !== candidate.attempt)
    return giveUp("superseded", "E_CANCEL", `superseded by ${wanted.version} (${wanted.attempt})`);
  if (runnerDown !== undefined && (phase === "proven" || phase === "shadow" || phase === "probation"))
    return waitForRunner(runnerDown);
  if (phase === "probation") {
    // The committed version serves after a restart; probation begins anew, or a version would pass without having run.
    if (facts.lost) return { do: "activate" };
    return phaseMs < candidate.probationMs ? undefined : { do: "commit" };
  }
  if (phase === "shadow") return shadowStep(candidate, facts);
  if (phaseMs > phaseLimitMs[phase]) {
    return giveUp("timed-out", "E_TIMEOUT", `still ${phase} after ${Math.round(phaseLimitMs[phase] / 60_000)} min`);
  }
  switch (phase) {
    case "offered":
      return { do: "describe" };
    case "downloading":
      return { do: "download" };
    case "verified":
      if (candidate.trialStarts >= maxTrialStarts) {
        return giveUp("rejected", "E_CRASH", `did not survive ${maxTrialStarts} starts`);
      }
      return { do: "begin-trial" };
    case "trial":
      return { do: "trial" };
    case "proven":
      // With nothing in service there is nothing to stand in the shadow of.
      return { do: candidate.shadow !== undefined && hasCommitted ? "begin-shadow" : "activate" };
  }
}

/** A runner that ended is no fault of a version that was not at work; one that does not come back ends its attempt. */
function waitForRunner({ ms, ends }: NonNullable<Facts["runnerDown"]>): Step | undefined {
  if (ends >= crashLoopCount)
    return giveUp("failed", "E_CRASH", `the runner ended ${ends} times before it served again`);
  if (ms <= runnerWaitMs) return undefined;
  return giveUp("timed-out", "E_TIMEOUT", `the runner did not serve again within ${runnerWaitMs / 60_000} min`);
}

function shadowStep({ shadow }: Candidate, { phaseMs, shadow: seen, lost }: Facts): Step | undefined {
  if (shadow === undefined) return { do: "activate" };
  if (lost) return { do: "begin-shadow" };
  const verdict = judgeShadow(shadow, seen, phaseMs);
  if (verdict.kind === "fail") return giveUp("rejected", "E_SHADOW", verdict.reason);
  if (verdict.kind === "pass") return { do: "activate" };
  if (phaseMs <= shadow.ms + shadowGraceMs) return undefined;
  return giveUp("timed-out", "E_TIMEOUT", `only ${seen.compared} answers were compared in the shadow`);
}

function giveUp(outcome: Outcome, code: DeviceError["code"], detail: string): Step {
  return { do: "give-up", outcome, error: { code, detail } };
}
