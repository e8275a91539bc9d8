import { z } from "zod";
import { DeviceId, ModelName, VersionName } from "../ids.js";

export const WaveSize = z.union([
  z.strictObject({ devices: z.int().min(1) }),
  z.strictObject({ percent: z.number().gt(0).max(100) }),
]);
export type WaveSize = z.infer<typeof WaveSize>;

export const RolloutSettings = z.strictObject({
  /** Each wave reaches so many devices in all, counted with the waves before it. The last one always reaches all. */
  waves: z
    .array(WaveSize)
    .min(1)
    .max(50)
    .default([{ devices: 5 }, { percent: 10 }, { percent: 50 }, { percent: 100 }]),
  /** How long a finished wave is watched before the next one begins. */
  soakMs: z
    .int()
    .min(0)
    .default(30 * 60_000),
  /** A wave passes with at least this share of its started devices committed. */
  successPercent: z.number().min(0).max(100).default(95),
  /** The rollout halts with more than this share of a wave's started devices failed. */
  errorPercent: z.number().min(0).max(100).default(5),
  /** The rollout halts with more than this share of a wave's started devices fallen to a slower execution provider. */
  fallbackPercent: z.number().min(0).max(100).default(5),
  /** The error share counts only from so many finished devices on, or when the wave has no more. */
  minExecuted: z.int().min(1).default(3),
  /** A device that started and has not finished for so long has failed. */
  inProgressTimeoutMs: z
    .int()
    .min(1000)
    .default(60 * 60_000),
  /** How often a device that failed is tried again. */
  retries: z.int().min(0).max(20).default(2),
  /** How long a device watches the new version before it keeps it. */
  probationMs: z.int().min(0).default(120_000),
  /** How long a device runs the new version beside the serving one before; 0 for not at all. */
  shadowMs: z.int().min(0).default(0),
  /** The share of the inputs that the new version gets meanwhile. */
  shadowShare: z.number().gt(0).max(1).default(0.1),
  /** The share of one core's time that this may take. */
  shadowCpuShare: z.number().gt(0).max(1).default(0.2),
  /** A device refuses the version when a smaller share of its answers agrees; 0 asks for none. */
  minAgreement: z.number().min(0).max(1).default(0),
});
export type RolloutSettings = z.infer<typeof RolloutSettings>;

export const StartRollout = z.strictObject({
  model: ModelName,
  version: VersionName,
  /** Which devices, for example `site=lyon,line!=3`; empty for all. */
  selector: z.string().max(1000).default(""),
  settings: RolloutSettings.partial().default({}),
});
export type StartRollout = z.infer<typeof StartRollout>;

export const RolloutPlan = z.object({
  model: ModelName,
  version: VersionName,
  waves: z.array(z.array(DeviceId)),
  skipped: z.array(z.object({ device: DeviceId, reason: z.string() })),
  settings: RolloutSettings,
});
export type RolloutPlan = z.infer<typeof RolloutPlan>;

export const RolloutState = z.enum([
  "running",
  "paused",
  "halted",
  "rolling-back",
  "rolled-back",
  "completed",
  "completed-with-failures",
]);
export type RolloutState = z.infer<typeof RolloutState>;

export const WaveState = z.enum(["pending", "running", "soaking", "passed", "failed"]);
export type WaveState = z.infer<typeof WaveState>;

export const ProgressState = z.enum(["waiting", "offered", "started", "committed", "failed", "laggard", "withdrawn"]);
export type ProgressState = z.infer<typeof ProgressState>;

export const Rollout = z.object({
  id: z.string(),
  model: ModelName,
  version: VersionName,
  selector: z.string(),
  state: RolloutState,
  /** Why it is in this state, when it is not simply going on. */
  reason: z.string().optional(),
  createdMs: z.int(),
  changedMs: z.int(),
  settings: RolloutSettings,
  waves: z.array(
    z.object({
      state: WaveState,
      startedMs: z.int().optional(),
      soakingSinceMs: z.int().optional(),
      devices: z.array(
        z.object({
          device: DeviceId,
          state: ProgressState,
          tries: z.int(),
          phase: z.string().optional(),
          doneBytes: z.int().optional(),
          totalBytes: z.int().optional(),
          error: z.object({ code: z.string(), detail: z.string() }).optional(),
        }),
      ),
    }),
  ),
});
export type Rollout = z.infer<typeof Rollout>;
/** Which page of the list: so many rollouts, those that were started before one. */
export const RolloutQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The `next` of the page before. */
  before: z.string().max(64).optional(),
});
export type RolloutQuery = z.infer<typeof RolloutQuery>;

export const RolloutList = z.object({
  rollouts: z.array(Rollout),
  /** Ask with this as `before` for older ones; absent when there are none. */
  next: z.string().optional(),
});
export type RolloutList = z.infer<typeof RolloutList>;

export const RolloutAction = z.enum(["pause", "resume", "halt"]);
export type RolloutAction = z.infer<typeof RolloutAction>;
