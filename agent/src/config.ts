import { maxLanes } from "@muster/shared";
import { z } from "zod";
import { parseHours } from "./core/allowance.js";
import { sinkList, sourceList } from "./runner/feed-settings.js";
import { servingKeys, servingProblems } from "./runner/serving-settings.js";

/** What an agent can be told; every key has a default, so a joined device runs without a configuration. */
export const AgentConfig = z
  .strictObject({
    /** Everything the agent keeps lies in this folder: identity, state, models, spools. */
    dataDir: z.string().min(1).default("muster-agent-data"),
    logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
    ...servingKeys,
    /** Worker threads at most, each with its own session, per model; 0 for one per core, at most two. */
    workers: z.int().min(0).max(64).default(0),
    /** Worker threads of all models together at most, though each has one; 0 for one per core, and no fewer than `workers`. */
    maxWorkers: z.int().min(0).max(1024).default(0),
    /** Models that this device takes at most. */
    maxModels: z.int().min(1).max(64).default(16),
    /** MB that the runner may take before it is started again; 0 for what the budgets of the models in it allow. */
    runnerMemoryMb: z.int().min(0).default(0),
    /** A model that works on one input for longer hangs: its runner is started again. */
    engineTimeoutMs: z.int().min(100).max(3_600_000).default(60_000),
    /** Where inputs come from, besides applications. */
    sources: sourceList.default([]),
    /** Where the answers to them go. */
    sinks: sinkList.default([]),
    /** Length of a telemetry window. */
    windowMs: z.int().min(200).max(3_600_000).default(60_000),
    /** Windows, and events, kept while the hub is out of reach; beyond it the oldest go and are counted. */
    maxSpooled: z.int().min(10).max(1_000_000).default(20_000),
    /** Encrypt what waits for the hub on this disk. */
    encryptAtRest: z.boolean().default(false),
    /** Its key; best on another medium than the data folder, in which it lies by default. */
    atRestKeyFile: z.string().min(1).optional(),
    /** Fetch artifacts only in these hours of the local day, such as `22:00-06:00`. */
    transferHours: z
      .string()
      .refine((text) => parseHours(text) !== undefined, "must be two times such as 22:00-06:00")
      .optional(),
    /** Bytes of artifacts per local day, for metered links; 0 for no limit. */
    transferBytesPerDay: z.int().min(0).default(0),
    /** Further connections that a transfer may open where they make it faster, as on a link that loses packets; 0 for none. */
    transferLanes: z.int().min(0).max(maxLanes).default(10),
    /** The largest artifact this device takes. */
    maxArtifactBytes: z
      .int()
      .min(1)
      .default(4 * 1024 ** 3),
    /** How many variants of a version are fetched and tried, within the limits of memory, disk and data. */
    maxVariantsTried: z.int().min(1).max(16).default(3),
    /** Disk for engines that a provider built for this device. */
    maxEngineCacheBytes: z
      .int()
      .min(0)
      .default(2 * 1024 ** 3),
    /** A folder with another build of ONNX Runtime, a package like onnxruntime-node; see docs/providers.md. */
    onnxruntime: z.string().min(1).optional(),
    /** How long a trial may take in all. */
    trialTimeoutMs: z
      .int()
      .min(1000)
      .default(20 * 60_000),
  })
  .superRefine((config, context) => {
    for (const problem of servingProblems(config)) context.addIssue({ code: "custom", ...problem });
  });
export type AgentConfig = z.infer<typeof AgentConfig>;
