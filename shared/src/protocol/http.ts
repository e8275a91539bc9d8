import { z } from "zod";
import { DeviceId, Digest, Labels, ModelName, VersionName } from "../ids.js";
import { Manifest } from "../model/manifest.js";
import { TrustedKeys } from "../signing/desired.js";
import { Hardware, Reported, stages } from "./messages.js";

/** The body of every failed request. */
export const ApiError = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    problems: z.array(z.object({ field: z.string(), message: z.string() })),
  }),
});
export type ApiError = z.infer<typeof ApiError>;

// Hub

export const HubStatus = z.object({
  version: z.string(),
  startedMs: z.int(),
  devices: z.object({ total: z.int(), online: z.int() }),
  models: z.int(),
  activeRollouts: z.int(),
  mqttUrl: z.string(),
  enrolmentUrl: z.string(),
  /** What the hub has refused or thrown away since it started, by reason. */
  counters: z.record(z.string(), z.int()),
});
export type HubStatus = z.infer<typeof HubStatus>;

// Joining

export const CreateInvite = z.strictObject({
  /** Only a device of this name may use it. */
  device: DeviceId.optional(),
  /** Given to the device when it joins. */
  labels: Labels.default({}),
  uses: z.int().min(1).max(10_000).default(1),
  validMs: z
    .int()
    .min(1000)
    .max(365 * 86_400_000)
    .default(86_400_000),
});
export type CreateInvite = z.infer<typeof CreateInvite>;

export const Invite = z.object({
  url: z.string(),
  /** The secret, and the digest of the hub's CA; shown only once. */
  token: z.string(),
  expiresMs: z.int(),
  /** The line to paste on the device. */
  command: z.string(),
});
export type Invite = z.infer<typeof Invite>;

/** What an agent sends over the enrolment listener. */
export const JoinRequest = z.strictObject({
  secret: z.string().min(20).max(200),
  device: DeviceId,
  /** A PKCS#10 request whose common name is the device's name. */
  csr: z.string().max(10_000),
  labels: Labels.default({}),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

export const JoinReply = z.object({
  certificate: z.string(),
  ca: z.string(),
  mqttUrl: z.string(),
  keys: TrustedKeys,
});
export type JoinReply = z.infer<typeof JoinReply>;

// Devices

export const Device = z.object({
  id: DeviceId,
  labels: Labels,
  online: z.boolean(),
  joinedMs: z.int(),
  lastSeenMs: z.int().optional(),
  agentVersion: z.string().optional(),
  hardware: Hardware.optional(),
  desired: z.object({ revision: z.int(), models: z.array(z.object({ model: ModelName, version: VersionName })) }),
  reported: Reported.optional(),
});
export type Device = z.infer<typeof Device>;
export const DeviceList = z.object({ devices: z.array(Device) });
export type DeviceList = z.infer<typeof DeviceList>;

export const ChangeLabels = z.strictObject({
  set: Labels.default({}),
  remove: z.array(z.string()).default([]),
});
export type ChangeLabels = z.infer<typeof ChangeLabels>;

// Models

export const UploadState = z.object({ digest: Digest, sizeBytes: z.int() });
export type UploadState = z.infer<typeof UploadState>;

export const PushVersion = z.strictObject({
  /** The text of muster.yaml. */
  bundle: z.string().max(1_000_000),
  /** The digest of every other file of the bundle that was uploaded, by its path. */
  files: z.record(z.string().max(500), Digest),
  /** Run the self-test on the hub too and refuse a version that fails it. */
  selfTest: z.boolean().default(true),
});
export type PushVersion = z.infer<typeof PushVersion>;

export const VersionView = z.object({
  model: ModelName,
  version: VersionName,
  release: z.int(),
  /** The digest of the signed manifest. */
  manifestDigest: Digest,
  pushedMs: z.int(),
  sizeBytes: z.int(),
  manifest: Manifest,
  /** Devices that have committed it. */
  devices: z.int(),
});
export type VersionView = z.infer<typeof VersionView>;
export const PushedVersion = VersionView.extend({
  /** False when exactly this version was there already. */
  created: z.boolean(),
});
export type PushedVersion = z.infer<typeof PushedVersion>;
export const VersionList = z.object({ versions: z.array(VersionView) });
export type VersionList = z.infer<typeof VersionList>;

// Rollouts

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
export const RolloutList = z.object({ rollouts: z.array(Rollout) });
export type RolloutList = z.infer<typeof RolloutList>;

export const RolloutAction = z.enum(["pause", "resume", "halt"]);
export type RolloutAction = z.infer<typeof RolloutAction>;

// Telemetry

export const TelemetryQuery = z.strictObject({
  model: ModelName.optional(),
  version: VersionName.optional(),
  device: DeviceId.optional(),
  selector: z.string().max(1000).optional(),
  /** Look back so far from now. */
  lastMs: z.coerce.number().int().min(1000).default(3_600_000),
  /** One row for each. */
  by: z.enum(["device", "version"]).default("device"),
});
export type TelemetryQuery = z.infer<typeof TelemetryQuery>;

export const LatencyRow = z.object({
  model: ModelName,
  version: VersionName,
  /** Absent when the row is of all devices. */
  device: DeviceId.optional(),
  provider: z.string(),
  inputs: z.int(),
  errors: z.int(),
  dropped: z.int(),
  /** Inputs per second while windows were open. */
  perSecond: z.number(),
  classes: z.record(z.string(), z.int()),
  /** Milliseconds. */
  stages: z.partialRecord(z.enum(stages), z.object({ p50: z.number(), p95: z.number(), p99: z.number() })),
});
export type LatencyRow = z.infer<typeof LatencyRow>;
export const LatencyReport = z.object({ rows: z.array(LatencyRow) });
export type LatencyReport = z.infer<typeof LatencyReport>;

export const EventQuery = z.strictObject({
  device: DeviceId.optional(),
  kind: z.string().max(64).optional(),
  /** Only events with a higher number, oldest first. Without it the newest are given, oldest first. */
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export type EventQuery = z.infer<typeof EventQuery>;

export const HubEvent = z.object({
  id: z.int(),
  atMs: z.int(),
  /** Absent for events of the hub itself. */
  device: DeviceId.optional(),
  kind: z.string(),
  fields: z.record(z.string(), z.unknown()),
});
export type HubEvent = z.infer<typeof HubEvent>;
export const EventList = z.object({ events: z.array(HubEvent) });
export type EventList = z.infer<typeof EventList>;

export const DriftQuery = z.strictObject({
  model: ModelName.optional(),
  device: DeviceId.optional(),
  selector: z.string().max(1000).optional(),
});
export type DriftQuery = z.infer<typeof DriftQuery>;

export const DriftRow = z.object({
  device: DeviceId,
  model: ModelName,
  version: VersionName,
  /** Inputs the distance was computed from. */
  inputs: z.int(),
  features: z.array(
    z.object({
      feature: z.string(),
      psi: z.number(),
      /** Absent while there are too few inputs to tell. */
      threshold: z.number().optional(),
      drifting: z.boolean(),
      /** Since when it is drifting. */
      sinceMs: z.int().optional(),
    }),
  ),
});
export type DriftRow = z.infer<typeof DriftRow>;
export const DriftReport = z.object({ rows: z.array(DriftRow) });
export type DriftReport = z.infer<typeof DriftReport>;
