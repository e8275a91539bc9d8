import {
  DeviceError,
  Digest,
  Manifest,
  ModelName,
  RunnerUsage,
  ShadowPlan,
  SinkReport,
  SourceReport,
  TriedCandidate,
  VersionName,
  Window,
} from "@muster/shared";
import { z } from "zod";
import { sinkList, sourceList } from "./feed-settings.js";
import { ServingSettings } from "./serving-settings.js";

/** What a runner is told once, before anything else. */
export const RunnerSettings = z.object({
  serving: ServingSettings,
  /** Worker threads at most, each with a session of its own, per model in service. */
  workers: z.int().min(1),
  /** MB that the process may take; 0 for the budgets of the versions in it. */
  memoryMb: z.int().min(0),
  /** How long an engine may work on one input before it counts as hung. */
  runLimitMs: z.int().min(1),
  /** Of all models together; every model has one. */
  maxWorkers: z.int().min(1),
  /** Inputs that may wait per model; more are refused with 429. */
  maxQueue: z.int().min(1),
  /** Of all models together, in equal shares. */
  maxQueued: z.int().min(1),
  /** When inputs share a run, for models whose batch dimension is free. */
  batch: z.object({ maxRows: z.int().min(1), maxDelayMs: z.number().min(0) }),
  /** Where a source keeps how far it got. */
  stateDir: z.string(),
  sources: sourceList,
  sinks: sinkList,
});
export type RunnerSettings = z.infer<typeof RunnerSettings>;

/** A version on disk, ready to be loaded. */
export const Slot = z.object({
  model: ModelName,
  version: VersionName,
  /** The digest of the manifest; names the slot. */
  manifestDigest: Digest,
  manifest: Manifest,
  /** The digest of the model file; the runner hashes the file it opens. */
  artifact: Digest,
  modelPath: z.string(),
  /** The key of an encrypted model file, base64. It lives in memory only. */
  key: z.string().optional(),
  provider: z.string(),
  threads: z.int().min(1),
  /** Where a provider may keep what took it long to make. */
  cacheDir: z.string().optional(),
});
export type Slot = z.infer<typeof Slot>;

/** What the agent asks of its runner; each call gets one answer. */
export const RunnerCall = z.discriminatedUnion("do", [
  z.object({ do: z.literal("configure"), settings: RunnerSettings }),
  /** Loads and warms up a version beside whatever serves. Loading a loaded slot is a no-op. */
  z.object({ do: z.literal("load"), slot: Slot }),
  /** Puts a loaded slot in service for its model; the one before finishes what it has and stays warm. */
  z.object({ do: z.literal("activate"), manifestDigest: Digest }),
  /** Gives a loaded slot that does not serve a copy of some inputs, and compares. Ends when it serves or is unloaded. */
  z.object({ do: z.literal("shadow"), manifestDigest: Digest, plan: ShadowPlan }),
  /** Whether nothing runs in the shadow for now. */
  z.object({ do: z.literal("pause-shadows"), paused: z.boolean() }),
  /** Drains and releases a slot; one that is not loaded is a no-op. */
  z.object({ do: z.literal("unload"), manifestDigest: Digest }),
  /** Ends the current windows and gives them away. */
  z.object({ do: z.literal("take-windows") }),
  z.object({ do: z.literal("status") }),
  /** Whether it still answers, and what it takes. */
  z.object({ do: z.literal("pulse") }),
]);
export type RunnerCall = z.infer<typeof RunnerCall>;

/** What the runner's process takes, and may take when something says so. */
export interface Pulse {
  readonly rssBytes: number;
  readonly capBytes?: number;
}

/** A window before the agent numbers it. */
export const RunnerWindow = Window.omit({ seq: true });
export type RunnerWindow = z.infer<typeof RunnerWindow>;

export const RunnerStatus = z.object({
  url: z.string().optional(),
  /** Execution providers the installed ONNX Runtime brings along. */
  providers: z.array(z.string()),
  onnxruntime: z.object({ version: z.string(), build: z.string() }),
  models: z.array(
    z.object({
      model: ModelName,
      version: VersionName,
      manifestDigest: Digest,
      serving: z.boolean(),
      queued: z.int(),
      /** Where it was to run, where it runs, and why that is not the same. */
      running: z.object({ requested: z.string(), actual: z.string(), reason: z.string().optional() }),
    }),
  ),
  usage: RunnerUsage,
  /** In the order of the settings. */
  sources: z.array(SourceReport),
  sinks: z.array(SinkReport),
});
export type RunnerStatus = z.infer<typeof RunnerStatus>;

/** What a trial proves. */
export const TrialRequest = z.object({
  manifest: Manifest,
  /** The variants that are here. */
  variants: z
    .array(
      z.object({
        name: z.string(),
        artifact: Digest,
        modelPath: z.string(),
        /** The key of an encrypted model file, base64. */
        key: z.string().optional(),
        /** Where a provider may keep what took it long to make. */
        cacheDir: z.string().optional(),
      }),
    )
    .min(1),
  /** The input file of each self-test sample, in the manifest's order. */
  samplePaths: z.array(z.string()),
  /** In order of promise. */
  candidates: z.array(z.object({ variant: z.string(), provider: z.string(), threads: z.int().min(1) })).min(1),
  /** What the figures belong to. */
  machine: z.string(),
  /** Whether to take times, or only to hold the answers against the self-test. */
  measure: z.boolean().default(true),
});
export type TrialRequest = z.infer<typeof TrialRequest>;

/** How a trial went: the fastest candidate that is correct, and every one that was tried. */
export const TrialResult = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("passed"),
    variant: z.string(),
    provider: z.string(),
    threads: z.int(),
    tried: z.array(TriedCandidate),
    /** The figures are of an earlier trial. */
    remembered: z.boolean().default(false),
  }),
  z.object({ kind: z.literal("failed"), error: DeviceError, tried: z.array(TriedCandidate) }),
]);
export type TrialResult = z.infer<typeof TrialResult>;
