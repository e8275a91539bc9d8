import {
  CandidatePhase,
  Desired,
  Digest,
  type Envelope,
  FinishedAttempt,
  ModelName,
  openRoot,
  Root,
  rootDigest,
  TrialReport,
  type Trust,
  VersionName,
  Wanted,
} from "@muster/shared";
import { z } from "zod";

/** A version that lies on this device, proven here. */
export const Installed = z.object({
  attempt: z.string(),
  version: VersionName,
  release: z.int(),
  /** Digest of the signed manifest, which lies among the blobs. */
  manifest: Digest,
  /** Its size; not there for versions that were installed before it was kept. */
  manifestBytes: z.int().optional(),
  variant: z.string(),
  artifact: Digest,
  provider: z.string(),
  threads: z.int().min(1),
  /** The key of an encrypted artifact, wrapped for this device. */
  wrappedKey: z.string().optional(),
});
export type Installed = z.infer<typeof Installed>;

/** A version on its way into service. Facts appear as they become known. */
export const Candidate = z.object({
  attempt: z.string(),
  version: VersionName,
  manifest: z.object({ sha256: Digest, sizeBytes: z.int() }),
  probationMs: z.int(),
  phase: CandidatePhase,
  phaseSinceMs: z.int(),
  /** How often a trial was begun; written before it begins. */
  trialStarts: z.int(),
  release: z.int().optional(),
  /** Names of the variants to fetch and try, in order of promise; what the trial chose is the only one left. */
  variants: z.array(z.string()).max(64).optional(),
  /** What the trial chose. (An agent that fetched one variant only wrote it before the trial.) */
  variant: z.string().optional(),
  artifact: Digest.optional(),
  provider: z.string().optional(),
  threads: z.int().optional(),
  shadow: Wanted.shape.shadow,
  wrappedKeys: Wanted.shape.keys,
  hints: Wanted.shape.hints,
});
export type Candidate = z.infer<typeof Candidate>;

/** What this device durably knows of one model. */
export const ModelState = z.object({
  /** The highest release that was ever committed here; lower ones are refused. */
  releaseFloor: z.int(),
  committed: Installed.optional(),
  /** The version committed before; a way back that needs no hub. */
  previous: Installed.optional(),
  candidate: Candidate.optional(),
  /** How the latest trial went. */
  trial: TrialReport.optional(),
  /** How past attempts ended, oldest first. */
  finished: z.array(FinishedAttempt).max(16),
});
export type ModelState = z.infer<typeof ModelState>;

/** All that this device durably knows. Saved after every step, so that a restart resumes there. */
export const AgentState = z.object({
  /** The newest root that was accepted, and the digest of the one it began from when the device joined. */
  trust: z.object({ origin: Digest, root: Root }).optional(),
  /** The highest desired revision that was accepted. */
  revision: z.int(),
  desired: Desired.optional(),
  /** The latest time a signed document vouched for. */
  trustedMs: z.int(),
  models: z.record(ModelName, ModelState),
});
export type AgentState = z.infer<typeof AgentState>;

export const initialState: AgentState = { revision: 0, trustedMs: 0, models: {} };
export const emptyModel: ModelState = { releaseFloor: 0, finished: [] };

/** What the device trusts: what it had accepted, unless it has joined another hub since. */
export function trustOf({ trust, revision, desired, trustedMs }: AgentState, joined: Envelope): Trust {
  const same = trust?.origin === rootDigest(joined);
  const first = openRoot(joined);
  // A device that joined again begins anew: what the hub before ran ahead must not keep it from following this one.
  if (!same) return { root: first, revision: 0, desired: undefined, trustedMs: first.issuedMs };
  return { root: trust.root, revision, desired, trustedMs };
}

/** The state after a desired message was accepted. */
export function withTrust(
  state: AgentState,
  { root, revision, desired, trustedMs }: Trust,
  joined: Envelope,
): AgentState {
  const trust = { origin: rootDigest(joined), root };
  return { ...state, trust, revision, ...(desired === undefined ? {} : { desired }), trustedMs };
}

/** How many ended attempts are remembered. */
const rememberedAttempts = 16;

/** The model's state with one more ended attempt. */
export function withFinished(state: ModelState, finished: ModelState["finished"][number]): ModelState {
  return { ...state, finished: [...state.finished, finished].slice(-rememberedAttempts) };
}

const unprovenPhases: readonly CandidatePhase[] = ["trial", "proven", "shadow", "probation"];

/**
 * The state a start of the agent goes on from: a version on trial or on probation lost its process and
 * has to be proven again, while the committed one serves.
 */
export function recovered(state: AgentState, nowMs: number): AgentState {
  const models = Object.entries(state.models).map(([name, model]): [string, ModelState] => {
    const { candidate } = model;
    const unproven = candidate !== undefined && unprovenPhases.includes(candidate.phase);
    if (candidate === undefined || !unproven) return [name, model];
    return [name, { ...model, candidate: { ...candidate, phase: "verified", phaseSinceMs: nowMs } }];
  });
  return { ...state, models: Object.fromEntries(models) };
}
