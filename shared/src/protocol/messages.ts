import { z } from "zod";
import { Digest, ModelName, VersionName } from "../ids.js";
import { SealingKey } from "../signing/sealed-key.js";
import { SketchData } from "../stats/sketch.js";
import { maxFeeds, SinkReport, SourceReport } from "./feeds.js";
import { Hardware } from "./hardware.js";
import { RunnerUsage } from "./runner-usage.js";
import { BuiltEngine, UploadCommand } from "./upload-messages.js";

/** Why a version did not stay on a device. */
export const DeviceErrorCode = z.enum([
  "E_DISK",
  "E_HASH",
  "E_SIG",
  "E_NO_VARIANT",
  "E_PROVIDER",
  "E_SELFTEST",
  "E_LATENCY",
  "E_MEMORY",
  "E_SHADOW",
  "E_CRASH",
  "E_CANCEL",
  "E_TIMEOUT",
  "E_TRANSFER",
  "E_INTERNAL",
]);
export type DeviceErrorCode = z.infer<typeof DeviceErrorCode>;

/** A code for programs and a sentence for people. */
export const DeviceError = z.object({ code: DeviceErrorCode, detail: z.string().max(2000) });
export type DeviceError = z.infer<typeof DeviceError>;

/** Where a candidate stands on its way into service. */
export const CandidatePhase = z.enum(["offered", "downloading", "verified", "trial", "proven", "shadow", "probation"]);
export type CandidatePhase = z.infer<typeof CandidatePhase>;

/** How an attempt to bring a version to a device ended. */
export const Outcome = z.enum([
  "committed",
  "failed",
  "rejected",
  "no-variant",
  "cancelled",
  "superseded",
  "timed-out",
  "rolled-back",
  "rollback-failed",
]);
export type Outcome = z.infer<typeof Outcome>;

/** On every connect: who speaks, and what of the past it knows. */
export const Hello = z.object({
  agentVersion: z.string(),
  /** New with every start of the agent. */
  bootId: z.string(),
  /** The last desired revision accepted. */
  revision: z.int().min(0),
  /** The version of the root it trusts; newer ones are sent along with what is desired. */
  rootVersion: z.int().min(0).default(0),
  /** What keys of encrypted artifacts are wrapped with for this device. */
  sealingKey: SealingKey.optional(),
  hardware: Hardware,
  clockMs: z.int(),
});
export type Hello = z.infer<typeof Hello>;

/** How an attempt to bring a version to a device ended, and why. */
export const FinishedAttempt = z.object({
  attempt: z.string(),
  version: VersionName,
  manifest: Digest,
  outcome: Outcome,
  error: DeviceError.optional(),
  atMs: z.int(),
});
export type FinishedAttempt = z.infer<typeof FinishedAttempt>;

/** One way to run a version that a trial tried. */
export const TriedCandidate = z.object({
  variant: z.string(),
  provider: z.string(),
  threads: z.int(),
  /** Milliseconds from bytes to answer; absent when it did not come so far. */
  p50Ms: z.number().optional(),
  p95Ms: z.number().optional(),
  /** Resident memory of the process that ran it. */
  rssBytes: z.int().optional(),
  /** What of it the provider takes whatever model it runs; absent for the processor. */
  providerBytes: z.int().optional(),
  /** Nodes of the model per provider, where some may run elsewhere than was asked. */
  nodes: z.record(z.string(), z.int()).optional(),
  /** Why it is not the way to run the version; absent when it is correct. */
  rejected: DeviceError.optional(),
});
export type TriedCandidate = z.infer<typeof TriedCandidate>;

/** How the latest trial of a model went, whatever came of it. */
export const TrialReport = z.object({
  attempt: z.string(),
  version: VersionName,
  atMs: z.int(),
  /** The fastest that is correct; absent when none is. */
  chosen: z.object({ variant: z.string(), provider: z.string(), threads: z.int() }).optional(),
  tried: z.array(TriedCandidate).max(64),
  /** Variants that were not fetched, and why. */
  skipped: z.array(z.object({ what: z.string(), reason: z.string() })).max(64),
  /** The figures are those of an earlier trial of the same files on the same hardware; only the self-test was run again. */
  remembered: z.boolean(),
});
export type TrialReport = z.infer<typeof TrialReport>;

/** What a device says of one model. */
export const ReportedModel = z.object({
  model: ModelName,
  /** What serves now, trusted or not; absent when nothing does. */
  serving: VersionName.optional(),
  committed: z
    .object({
      version: VersionName,
      release: z.int(),
      manifest: Digest,
      variant: z.string(),
      provider: z.string(),
      threads: z.int(),
    })
    .optional(),
  /** The version it goes back to without the hub; absent when there is none. */
  previous: z.object({ version: VersionName, manifest: Digest }).optional(),
  candidate: z
    .object({
      attempt: z.string(),
      version: VersionName,
      manifest: Digest,
      phase: CandidatePhase,
      doneBytes: z.int().optional(),
      totalBytes: z.int().optional(),
      /** Why nothing of it is fetched now. */
      paused: z.string().max(500).optional(),
      /** What its trial is at. */
      doing: z.string().max(500).optional(),
    })
    .optional(),
  /** Where what serves was to run, where it runs, and why that is not the same. */
  running: z.object({ requested: z.string(), actual: z.string(), reason: z.string().max(2000).optional() }).optional(),
  /** The attempt because of which the model runs on a slower provider than before, or than was chosen. */
  fallback: z.object({ attempt: z.string(), detail: z.string().max(2000) }).optional(),
  trial: TrialReport.optional(),
  /** What the provider of the committed version built for it; absent when it built nothing, and for encrypted models. */
  engine: BuiltEngine.optional(),
  finished: z.array(FinishedAttempt).max(16),
});
export type ReportedModel = z.infer<typeof ReportedModel>;

/** The whole state of a device, as it says itself. */
export const Reported = z.object({
  /** Rises with every report of one agent start. */
  seq: z.int().min(1),
  bootId: z.string(),
  /** The desired revision this state answers. */
  revision: z.int().min(0),
  models: z.array(ReportedModel).max(64),
  runner: z.object({
    state: z.enum(["starting", "serving", "down"]),
    restarts: z.int(),
    /** The restarts by what ended the process: by itself, killed because it hung, killed because of its size. */
    endings: z.object({ crash: z.int(), hang: z.int(), memory: z.int() }).optional(),
    url: z.string().optional(),
    usage: RunnerUsage.optional(),
  }),
  /** Why the last desired document was refused, if it was. */
  refusal: z.string().max(2000).optional(),
  spool: z.object({ windows: z.int(), events: z.int(), dropped: z.int() }),
  /** Where inputs come from and answers go to, in the order of the settings. */
  sources: z.array(SourceReport).max(maxFeeds).optional(),
  sinks: z.array(SinkReport).max(maxFeeds).optional(),
});
export type Reported = z.infer<typeof Reported>;

/** An event of a device, from its durable outbox. */
export const DeviceEvent = z.object({
  seq: z.int().min(1),
  atMs: z.int(),
  kind: z.string().regex(/^[a-z][a-z0-9.-]{1,63}$/),
  fields: z.record(z.string(), z.unknown()),
});
export type DeviceEvent = z.infer<typeof DeviceEvent>;

/** Events in the order of their numbers. `stream` names the outbox: a new one starts from 1 again. */
export const EventBatch = z.object({ stream: z.string().min(8).max(64), events: z.array(DeviceEvent).min(1).max(100) });
export type EventBatch = z.infer<typeof EventBatch>;

/** The stages of one input. `total` is from bytes to answer. */
export const stages = ["pre", "queue", "run", "post", "total"] as const;
export type Stage = (typeof stages)[number];

/** What one version of one model did on one device in one span of time. */
export const Window = z.object({
  seq: z.int().min(1),
  startMs: z.int(),
  endMs: z.int(),
  model: ModelName,
  version: VersionName,
  manifest: Digest,
  /** Where it ran. */
  provider: z.string(),
  /** Where it was to run; absent when that is the same. */
  requestedProvider: z.string().optional(),
  inputs: z.int().min(0),
  errors: z.int().min(0),
  /** Inputs refused because a queue was full. */
  dropped: z.int().min(0),
  classes: z.record(z.string(), z.int().min(0)),
  /** Milliseconds per {@link Stage}. */
  stages: z.partialRecord(z.enum(stages), SketchData),
  /** Counts per feature, in the bins of the manifest's baseline. */
  features: z.record(z.string(), z.array(z.int().min(0)).max(1000)),
  /** There when it ran in the shadow of the version that serves: how many of its answers agreed, and what had no room. */
  shadow: z
    .object({ of: VersionName, compared: z.int().min(0), agreed: z.int().min(0), skipped: z.int().min(0) })
    .optional(),
  /** Resident memory of the runner. */
  rssBytes: z.int().min(0),
});
export type Window = z.infer<typeof Window>;

/** Windows in the order of their numbers. */
export const TelemetryBatch = z.object({ stream: z.string().min(8).max(64), windows: z.array(Window).min(1).max(100) });
export type TelemetryBatch = z.infer<typeof TelemetryBatch>;

/** Asks for a certificate for a new key. Not every broker tells which certificate opened the connection, so the request does. */
export const RenewalRequest = z.object({
  /** Made anew for every try, so that a late answer is not taken for the one waited for. */
  request: z.string().min(8).max(64),
  /** A PKCS#10 request whose common name is the device's name. */
  csr: z.string().max(10_000),
  /** The present certificate, PEM. Agents from before there were proofs send neither, and are told to be updated. */
  certificate: z.string().max(10_000).optional(),
  /** Made with its key; see {@link proveRenewal}. */
  proof: z.base64().max(2000).optional(),
});
export type RenewalRequest = z.infer<typeof RenewalRequest>;

/** What the hub tells a device apart from what it wants of it. */
export const Command = z.discriminatedUnion("type", [
  /** All events or windows up to and including the number are stored; the device may delete them. */
  z.object({ type: z.literal("ack"), stream: z.string(), of: z.enum(["events", "windows"]), seq: z.int() }),
  /** Send the whole reported state now. */
  z.object({ type: z.literal("resync") }),
  /** Say hello as after a connect, and report: the hub may have missed it. */
  z.object({ type: z.literal("hello") }),
  /** The certificate a renewal request asked for, PEM, and the CA that the hub is to be known by from now on. */
  z.object({ type: z.literal("certificate"), request: z.string(), certificate: z.string(), ca: z.string() }),
  /** There is no certificate for this renewal request now. */
  z.object({ type: z.literal("renewal-refused"), request: z.string(), reason: z.string() }),
  UploadCommand,
]);
export type Command = z.infer<typeof Command>;
/** How a hub answers a {@link RenewalRequest}. */
export type RenewalAnswer = Extract<Command, { type: "certificate" | "renewal-refused" }>;

/** The last will: a hint that the connection broke. */
export const Will = z.object({ bootId: z.string() });
export type Will = z.infer<typeof Will>;
