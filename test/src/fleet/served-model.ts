import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentConfig } from "@muster/agent";
import { RunnerHost, servingSettings } from "@muster/agent/testing";
import { Manifest, sha256 } from "@muster/shared";
import { quiet } from "../bench/quiet.js";
import { labelModelFile, labelPostprocess, labelPreprocess } from "../fixtures/label-model.js";

/** A runner in its own process with one model in service, as an agent starts it. */
export interface ServedModel {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** Serves the classifier of the fixtures with settings as they come. */
export async function serveClassifier(workers: number, config: Partial<AgentConfig> = {}): Promise<ServedModel> {
  const bytes = await readFile(labelModelFile);
  const blob = { sha256: sha256(bytes), sizeBytes: bytes.length };
  const manifest = Manifest.parse({
    ...{ model: "classifier", version: "1.0.0", release: 1, createdMs: 0, task: "image-classification" },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 48, 192] }],
      outputs: [{ name: "softmax_0.tmp_0", dtype: "float32", shape: ["n", 2] }],
    },
    ...{ preprocess: labelPreprocess, postprocess: labelPostprocess },
    selfTest: { tolerance: 0.02, samples: [{ input: blob, label: "upright" }] },
    ...{ budgets: {}, baseline: {}, metadata: {} },
  });
  return serveModel(manifest, labelModelFile, workers, config);
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
  const settings = { serving: servingSettings(full), maxQueue: full.maxQueue, workers, batch, stateDir };
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
