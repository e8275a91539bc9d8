import { readFile } from "node:fs/promises";
import {
  asMusterError,
  type DeviceError,
  type DeviceErrorCode,
  type Manifest,
  MusterError,
  messageOf,
  sha256,
} from "@muster/shared";
import { decodeInput, type Reading } from "@muster/shared/inference";
import { Engine } from "./engine.js";
import { decryptionOf, verifyModelFile } from "./model-file.js";
import type { TrialRequest } from "./protocol.js";
import type { Proven, Tried, Trying } from "./trial-choice.js";

/** A trial of one candidate. */
export type CandidateRequest = Omit<TrialRequest, "candidates"> & {
  readonly candidate: TrialRequest["candidates"][number];
};

/** Enough for a 95th percentile that means something; a slow model is not held up for them. */
const measure = { minRuns: 5, wantedRuns: 100, limitMs: 2000 };
const megabyte = 1_000_000;

/**
 * Proves a version on one candidate: the right bytes, loads, gives the expected answers to the self-test,
 * keeps within its budgets. Meant for a process of its own: it blocks, and a broken model may end it.
 */
export async function tryCandidate(request: CandidateRequest): Promise<Trying> {
  const { provider, threads } = request.candidate;
  const outcome = await prove(request).catch((error): Outcome => fault("E_INTERNAL", messageOf(error)));
  if (!("code" in outcome)) return { kind: "proven", proven: { provider, threads, ...outcome } };
  const { measured, ...rejected } = outcome;
  const tried: Tried = { provider, threads, ...measured, rejected };
  return { kind: "rejected", tried };
}

type Times = Pick<Proven, "p50Ms" | "p95Ms">;
type Outcome = Omit<Proven, "provider" | "threads"> | (DeviceError & { readonly measured?: Times });

async function prove(request: CandidateRequest): Promise<Outcome> {
  const { manifest, modelPath, artifact, key, candidate, samplePaths } = request;
  try {
    await verifyModelFile(modelPath, artifact);
  } catch (error) {
    return fault("E_HASH", messageOf(error));
  }
  let engine: Engine;
  try {
    const decryption = decryptionOf(manifest, artifact, key);
    engine = await Engine.open({ modelPath, decryption, ...candidate, manifest: { ...manifest, baseline: {} } });
  } catch (error) {
    return fault("E_PROVIDER", messageOf(error));
  }
  const samples = await Promise.all(samplePaths.map((path) => readFile(path)));
  const damaged = manifest.selfTest.samples.findIndex(({ input }, at) => sha256(samples[at] ?? "") !== input.sha256);
  if (damaged !== -1)
    return fault("E_HASH", `the file of self-test sample ${damaged + 1} is not what the manifest says`);
  const wrong = await selfTest(engine, manifest, samples);
  if (wrong !== undefined) return wrong;
  const times = await timeOf(engine, manifest, samples);
  const rssBytes = process.memoryUsage().rss;
  const over = overBudget(manifest, times, rssBytes);
  return over === undefined ? { ...times, rssBytes } : { ...over, measured: times };
}

/** The first sample whose answer is not the expected one. */
async function selfTest(
  engine: Engine,
  manifest: Manifest,
  samples: readonly Buffer[],
): Promise<DeviceError | undefined> {
  const { selfTest: test } = manifest;
  for (const [at, sample] of test.samples.entries()) {
    const name = `sample ${at + 1} of ${test.samples.length} (${sample.input.sha256.slice(0, 12)})`;
    try {
      const reading = await readBytes(engine, manifest, samples[at] ?? Buffer.alloc(0));
      const wrong = reading.fault(sample, test);
      if (wrong !== undefined) return fault("E_SELFTEST", `${name}: ${wrong}`);
    } catch (error) {
      const code = asMusterError(error).code === "engine/failed" ? "E_PROVIDER" : "E_SELFTEST";
      return fault(code, `${name}: ${messageOf(error)}`);
    }
  }
  return undefined;
}

/** Percentiles of bytes → answer over the samples in turn. */
async function timeOf(engine: Engine, manifest: Manifest, samples: readonly Buffer[]): Promise<Times> {
  const timesMs: number[] = [];
  const startMs = performance.now();
  const enough = () =>
    timesMs.length >= measure.wantedRuns ||
    (timesMs.length >= measure.minRuns && performance.now() - startMs > measure.limitMs);
  while (!enough()) {
    const beganMs = performance.now();
    await readBytes(engine, manifest, samples[timesMs.length % samples.length] ?? Buffer.alloc(0));
    timesMs.push(performance.now() - beganMs);
  }
  timesMs.sort((a, b) => a - b);
  const at = (q: number) => timesMs[Math.min(timesMs.length - 1, Math.floor(q * timesMs.length))] ?? 0;
  return { p50Ms: at(0.5), p95Ms: at(0.95) };
}

/** The reading of a sample, which is one input. */
async function readBytes(engine: Engine, manifest: Manifest, bytes: Buffer): Promise<Reading> {
  const { inputs } = await decodeInput(manifest, bytes);
  const { readings } = await engine.read(inputs.slice(0, 1));
  const [reading] = readings;
  if (reading === undefined) throw new MusterError("input/invalid", "the sample holds no input");
  return reading;
}

function overBudget({ budgets }: Manifest, { p95Ms }: Times, rssBytes: number): DeviceError | undefined {
  const { p95LatencyMs = Number.POSITIVE_INFINITY, memoryMb = Number.POSITIVE_INFINITY } = budgets;
  if (p95Ms > p95LatencyMs) {
    return fault("E_LATENCY", `95 % of the inputs take up to ${p95Ms.toFixed(2)} ms, the budget is ${p95LatencyMs} ms`);
  }
  const usedMb = rssBytes / megabyte;
  if (usedMb <= memoryMb) return undefined;
  return fault("E_MEMORY", `the process needs ${usedMb.toFixed(0)} MB, the budget is ${memoryMb} MB`);
}

function fault(code: DeviceErrorCode, detail: string): DeviceError {
  return { code, detail: detail.slice(0, 2000) };
}
