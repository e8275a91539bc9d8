import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentConfig } from "@muster/agent";
import { RunnerHost, servingSettings } from "@muster/agent/testing";
import { type Manifest, sha256 } from "@muster/shared";
import { quiet } from "../bench/quiet.js";

/** A runner in its own process with one model in service, as an agent starts it. */
export interface ServedModel {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** Serves a model file with one thread per session. */
export async function serveModel(
  manifest: Manifest,
  modelPath: string,
  workers: number,
  config: Partial<AgentConfig> = {},
): Promise<ServedModel> {
  const stateDir = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const full = AgentConfig.parse({ inferencePort: 0, ...config });
  const batch = { maxRows: full.maxBatch, maxDelayMs: full.batchDelayMs };
  const watch = { memoryMb: full.runnerMemoryMb, runLimitMs: full.engineTimeoutMs };
  const queue = { maxQueue: full.maxQueue, maxQueued: full.maxQueue };
  const settings = {
    serving: servingSettings(full),
    workers,
    maxWorkers: workers,
    ...queue,
    batch,
    stateDir,
    ...watch,
  };
  const host = new RunnerHost({ settings: { ...settings, sources: [], sinks: [] }, log: quiet });
  await host.start();
  const { model, version, variants } = manifest;
  const manifestDigest = sha256(JSON.stringify(manifest));
  const artifact = variants[0]?.artifact.sha256 ?? "";
  await host.load({ model, version, manifestDigest, manifest, artifact, modelPath, provider: "cpu", threads: 1 });
  await host.activate(manifestDigest);
  const { url = "" } = await host.status();
  const close = async () => {
    await host.close();
    await rm(stateDir, { recursive: true, force: true });
  };
  return { url, pid: host.pid ?? 0, close };
}
