import {
  type Device,
  type DriftReport,
  ImagePreprocess,
  type LatencyReport,
  type PushedVersion,
  type Rollout,
  type RolloutExplanation,
  type RolloutState,
} from "@muster/shared";
import { nowMs } from "./run-cli.js";

const digest = "a".repeat(64);

/** A device that serves one version and failed the next one. */
export function sampleDevice(id: string): Device {
  return {
    id,
    labels: { site: "lyon", line: "3" },
    online: true,
    joinedMs: nowMs - 86_400_000,
    lastSeenMs: nowMs - 3000,
    agentVersion: "0.1.0",
    hardware: {
      platform: "linux",
      arch: "arm64",
      board: "Raspberry Pi 5",
      cpu: "Cortex-A76",
      cores: 4,
      memoryBytes: 8_000_000_000,
      freeDiskBytes: 12_000_000_000,
      providers: ["cpu"],
    },
    desired: { revision: 7, models: [{ model: "defects", version: "1.1.0" }] },
    reported: {
      seq: 12,
      bootId: "boot",
      revision: 7,
      models: [
        {
          model: "defects",
          serving: "1.0.0",
          committed: { version: "1.0.0", release: 1, manifest: digest, variant: "int8", provider: "cpu", threads: 4 },
          candidate: {
            attempt: "r-1/1",
            version: "1.1.0",
            manifest: digest,
            phase: "downloading",
            doneBytes: 1_000_000,
            totalBytes: 4_000_000,
          },
          finished: [
            {
              attempt: "r-1/0",
              version: "1.1.0",
              manifest: digest,
              outcome: "rejected",
              error: { code: "E_SELFTEST", detail: "sample 2 says ok, expected scratch" },
              atMs: nowMs - 120_000,
            },
          ],
        },
      ],
      runner: { state: "serving", restarts: 1, url: "http://127.0.0.1:8080" },
      refusal: "revision 6 is older than 7",
      spool: { windows: 2, events: 1, dropped: 0 },
    },
  };
}

/** A rollout of two waves; `states` are those of its three devices. */
export function sampleRollout(state: RolloutState, ...states: readonly string[]): Rollout {
  const device = (name: string, at: number) => ({ device: name, state: states[at] ?? "waiting", tries: 0 });
  return {
    id: "r-1",
    model: "defects",
    version: "1.1.0",
    selector: "",
    state,
    createdMs: nowMs - 60_000,
    changedMs: nowMs,
    settings: {
      waves: [{ devices: 1 }, { percent: 100 }],
      soakMs: 1_800_000,
      successPercent: 95,
      errorPercent: 5,
      fallbackPercent: 5,
      minExecuted: 3,
      inProgressTimeoutMs: 3_600_000,
      retries: 2,
      probationMs: 120_000,
    },
    waves: [
      { state: "running", startedMs: nowMs - 50_000, devices: [device("cam-1", 0)] },
      { state: "pending", devices: [device("cam-2", 1), device("cam-3", 2)] },
    ],
  } as Rollout;
}

export const sampleLatency: LatencyReport = {
  rows: [
    {
      model: "defects",
      version: "1.0.0",
      device: "cam-1",
      provider: "cpu",
      inputs: 1200,
      errors: 3,
      dropped: 0,
      perSecond: 12.5,
      classes: { ok: 1100, scratch: 100 },
      stages: { run: { p50: 4.5, p95: 6, p99: 7 }, total: { p50: 8.25, p95: 12.5, p99: 20 } },
    },
  ],
};

export const sampleDrift: DriftReport = {
  rows: [
    {
      device: "cam-1",
      model: "defects",
      version: "1.0.0",
      inputs: 500,
      features: [
        { feature: "brightness", psi: 0.05, threshold: 0.2, drifting: false },
        { feature: "contrast", psi: 0.01, drifting: false },
      ],
    },
    {
      device: "cam-2",
      model: "defects",
      version: "1.0.0",
      inputs: 500,
      features: [{ feature: "brightness", psi: 1.5, threshold: 0.2, drifting: true, sinceMs: nowMs - 600_000 }],
    },
  ],
};

/** Why a rollout waits for the trial of one device, which was tried before. */
export const sampleExplanation: RolloutExplanation = {
  ...{ id: "r-1", model: "defects", version: "1.1.0", state: "running", atMs: nowMs },
  why: "wave 1 of 2 waits for a device: cam-1 tries the version",
  next: [
    { what: "cam-1 fails with E_TIMEOUT unless it has finished", atMs: nowMs + 600_000 },
    { what: "once its devices have finished, wave 2 of 2 begins" },
  ],
  wave: {
    ...{ number: 1, of: 2, state: "running", startedMs: nowMs - 50_000, devices: 1 },
    gates: [
      {
        ...{ gate: "finished", state: "wait", value: 0, limit: 1, unit: "devices" },
        text: "0 of 1 reachable devices have finished",
      },
    ],
  },
  counts: { started: 1, waiting: 2 },
  devices: [
    {
      ...{ device: "cam-1", wave: 1, state: "started", holdsUp: true, online: false, tries: 1, phase: "trial" },
      why: "tries the version",
      trial: {
        ...{ attempt: "r-1.1", version: "1.1.0", atMs: nowMs - 5000, remembered: false, skipped: [] },
        chosen: { variant: "int8", provider: "cpu", threads: 2 },
        tried: [
          { variant: "fp16", provider: "cuda", threads: 1, rejected: { code: "E_PROVIDER", detail: "no GPU" } },
          { variant: "int8", provider: "cpu", threads: 2, p50Ms: 3, p95Ms: 4 },
        ],
      },
    },
  ],
  more: 3,
};

/** What the hub answers to a push. */
export function samplePushed(created: boolean): PushedVersion {
  return {
    model: "defects",
    version: "1.0.0",
    release: 1,
    manifestDigest: digest,
    pushedMs: nowMs,
    sizeBytes: 1_400_000,
    devices: 0,
    created,
    manifest: {
      model: "defects",
      version: "1.0.0",
      release: 1,
      createdMs: nowMs,
      task: "image-classification",
      variants: [
        {
          name: "fp32",
          precision: "fp32",
          artifact: { sha256: digest, sizeBytes: 1_400_000, index: { sha256: digest, sizeBytes: 36 } },
        },
      ],
      tensors: {
        inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 8, 8] }],
        outputs: [{ name: "y", dtype: "float32", shape: ["n", 2] }],
      },
      preprocess: ImagePreprocess.parse({ resize: { width: 8, height: 8 } }),
      postprocess: { labels: ["ok", "scratch"], softmax: false, topK: 1 },
      selfTest: { tolerance: 0.05, samples: [{ input: { sha256: digest, sizeBytes: 10 }, label: "ok" }] },
      budgets: { p95LatencyMs: 50 },
      batching: { maxRows: 16, maxDelayMs: 4 },
      requires: {},
      baseline: {},
      metadata: {},
    },
  };
}

/** A muster.yaml that fits; its files are model.onnx, ok.png and twenty or more images below reference/. */
export const sampleBundle = `
name: defects
version: 1.0.0
task: image-classification
variants:
  - { name: fp32, file: model.onnx, precision: fp32 }
tensors:
  inputs: [{ name: x, dtype: float32, shape: [n, 3, 8, 8] }]
  outputs: [{ name: y, dtype: float32, shape: [n, 2] }]
preprocess:
  resize: { width: 8, height: 8 }
postprocess:
  labels: [ok, scratch]
selfTest:
  samples:
    - { file: ok.png, expect: { label: ok } }
baseline:
  images: reference
  maxImages: 21
`;
