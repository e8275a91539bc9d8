import { z } from "zod";
import { DeviceId, ModelName, VersionName } from "../ids.js";
import { ProgressState, RolloutState, WaveState } from "./http-rollouts.js";
import { CandidatePhase, TrialReport } from "./messages.js";

/** One condition of a wave: what was seen, against its limit. */
export const GateFigure = z.object({
  /**
   * `finished`: devices that have finished, of those that can; `errors`: percent of the started that failed, at most;
   * `fallback`: percent of the started on a slower provider, at most; `success`: percent of the started that committed, at
   * least; `soak`: milliseconds the finished wave has been watched.
   */
  gate: z.enum(["finished", "errors", "fallback", "success", "soak"]),
  state: z.enum(["pass", "wait", "fail"]),
  value: z.number(),
  limit: z.number(),
  unit: z.enum(["devices", "percent", "ms"]),
  /** The same in words. */
  text: z.string(),
});
export type GateFigure = z.infer<typeof GateFigure>;

/** Something that will happen, and when at the latest or at the earliest; without a time when it waits for something else. */
const NextStep = z.object({ what: z.string(), atMs: z.int().optional() });
export type NextStep = z.infer<typeof NextStep>;

/** Why one device of a rollout is where it is. */
export const ExplainedDevice = z.object({
  device: DeviceId,
  /** From 1. */
  wave: z.int(),
  state: ProgressState,
  /** Whether the wave waits for it. */
  holdsUp: z.boolean(),
  online: z.boolean(),
  lastSeenMs: z.int().optional(),
  /** Attempts that have failed before this one. */
  tries: z.int(),
  why: z.string(),
  next: NextStep.optional(),
  /** What the device says of this attempt. */
  phase: CandidatePhase.optional(),
  error: z.object({ code: z.string(), detail: z.string() }).optional(),
  /** Why the version runs on a slower provider than it was to. */
  fallback: z.string().optional(),
  /** Every variant and provider that was tried in this rollout: the one that was chosen, and why the others were not. */
  trial: TrialReport.optional(),
});
export type ExplainedDevice = z.infer<typeof ExplainedDevice>;

/** Why a rollout is where it is, and what happens next. */
export const RolloutExplanation = z.object({
  id: z.string(),
  model: ModelName,
  version: VersionName,
  state: RolloutState,
  /** When this was true. */
  atMs: z.int(),
  /** In one sentence. */
  why: z.string(),
  next: z.array(NextStep),
  /** The wave that is not done yet; absent when all are. */
  wave: z
    .object({
      /** From 1. */
      number: z.int(),
      of: z.int(),
      state: WaveState,
      startedMs: z.int().optional(),
      soakingSinceMs: z.int().optional(),
      devices: z.int(),
      /** None once the rollout was halted: then the reason holds the figures. */
      gates: z.array(GateFigure),
    })
    .optional(),
  /** Devices of the whole rollout per state. */
  counts: z.partialRecord(ProgressState, z.int()),
  /** Those that hold the wave up first, then those that failed, are unreachable or are on their way; or the one asked for. */
  devices: z.array(ExplainedDevice),
  /** Devices of that kind that had no room in the list. */
  more: z.int(),
});
export type RolloutExplanation = z.infer<typeof RolloutExplanation>;

/** Devices in one explanation, at most. */
export const maxExplained = 1000;

/** Which devices are explained: one, whatever its state, or so many of those that matter. */
export const ExplainQuery = z.strictObject({
  device: DeviceId.optional(),
  limit: z.coerce.number().int().min(0).max(maxExplained).default(100),
});
export type ExplainQuery = z.infer<typeof ExplainQuery>;
