import { join } from "node:path";
import type { AgentConfig } from "./config.js";
import type { RunnerSettings } from "./runner/protocol.js";
import { servingSettings } from "./runner/serving-settings.js";

/** Engine threads per model unless the configuration says otherwise, on a machine with cores enough. */
const usualWorkers = 2;

/** Inputs that wait in all, unless the configuration says otherwise: as many models may fill their queues. */
const usualFullQueues = 4;

/** What the runner of a device with so many cores is told. */
export function runnerSettings(config: AgentConfig, cores: number): RunnerSettings {
  const workers = config.workers === 0 ? Math.min(usualWorkers, cores) : config.workers;
  return {
    serving: servingSettings(config),
    workers,
    maxWorkers: config.maxWorkers === 0 ? Math.max(workers, cores) : config.maxWorkers,
    memoryMb: config.runnerMemoryMb,
    runLimitMs: config.engineTimeoutMs,
    maxQueue: config.maxQueue,
    maxQueued: config.maxQueued === 0 ? usualFullQueues * config.maxQueue : config.maxQueued,
    batch: { maxRows: config.maxBatch, maxDelayMs: config.batchDelayMs },
    stateDir: join(config.dataDir, "sources"),
    sources: config.sources,
    sinks: config.sinks,
  };
}
