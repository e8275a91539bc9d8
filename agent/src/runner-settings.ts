import { join } from "node:path";
import type { AgentConfig } from "./config.js";
import type { RunnerSettings } from "./runner/protocol.js";
import { batchSettings, servingSettings } from "./runner/serving-settings.js";

/** Engine threads per model unless the configuration says otherwise, on a machine with cores enough. */
const usualWorkers = 2;

/** What the runner of a device with so many cores is told. */
export function runnerSettings(config: AgentConfig, cores: number): RunnerSettings {
  return {
    serving: servingSettings(config),
    workers: config.workers === 0 ? Math.min(usualWorkers, cores) : config.workers,
    memoryMb: config.runnerMemoryMb,
    runLimitMs: config.engineTimeoutMs,
    maxQueue: config.maxQueue,
    ...batchSettings(config),
    stateDir: join(config.dataDir, "sources"),
    sources: config.sources,
    sinks: config.sinks,
  };
}
