import { z } from "zod";
import { DeviceId, ModelName, VersionName } from "../ids.js";
import { stages } from "./messages.js";

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
  /** Of the inputs, those that the version got in the shadow of another: how many answers agreed, and what had no room. */
  shadow: z.object({ compared: z.int(), agreed: z.int(), skipped: z.int() }).optional(),
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
