import { readFile } from "node:fs/promises";
import {
  asMusterError,
  type DeviceError,
  type DeviceErrorCode,
  type Manifest,
  messageOf,
  sha256,
  type TriedCandidate as Tried,
} from "@muster/shared";
import { actualProvider, onlyInput, type Pipeline, pipelineOf, type Reading } from "@muster/shared/inference";
import { Engine } from "./engine.js";
import { decryptionOf, verifyModelFile } from "./model-file.js";
import type { TrialRequest } from "./protocol.js";

/** A trial of one candidate. */
export type CandidateRequest = Omit<TrialRequest, "candidates" | "variants"> & {
  readonly variant: TrialRequest["variants"][number];
  readonly candidate: TrialRequest["candidates"][number];
};

/** Enough for a 95th percentile that means something; a slow model is not held up for them. */
const measure = { minRuns: 5, wantedRuns: 100, limitMs: 2000 };
const megabyte = 1_000_000;

/**
 * Proves a version on one candidate: the right bytes, loads, gives the expected answers to the self-test,
 * keeps within its budgets. Meant for a process of its own: it blocks, and a broken model may end it.
 */
export async function tryCandidate(request: CandidateRequest): Promise<Tried> {
  const found = await prove(request).catch((error): Found => ({ rejected: fault("E_INTERNAL", messageOf(error)) }));
  return { ...request.candidate, ...found };
}

/** What was found out of a candidate: figures as far as it came, and why it is not taken. */
type Found = Omit<Tried, "variant" | "provider" | "threads">;

async function prove(request: CandidateRequest): Promise<Found> {
  const { manifest, variant, candidate, samplePaths } = request;
  const { provider, threads } = candidate;
  const { modelPath, artifact, key, cacheDir } = variant;
  try {
    await verifyModelFile(modelPath, artifact);
  } catch (error) {
    return { rejected: fault("E_HASH", messageOf(error)) };
  }
  let engine: Engine;
  try {
    const spec = { modelPath, decryption: decryptionOf(manifest, artifact, key), provider, threads, cacheDir };
    engine = await Engine.open({ ...spec, manifest: { ...manifest, baseline: {} } });
  } catch (error) {
    return { rejected: fault("E_PROVIDER", messageOf(error)) };
  }
  const nodes = engine.placement;
  const placed = nodes === undefined ? {} : { nodes: { ...nodes } };
  const actual = actualProvider(provider, nodes ?? {});
  if (actual !== provider) {
    return { ...placed, rejected: fault("E_PROVIDER", `it starts, but every node of the model runs on ${actual}`) };
  }
  const samples = await Promise.all(samplePaths.map((path) => readFile(path)));
  return { ...placed, ...(await judge(engine, request, samples)) };
}

/** Holds a loaded model against the self-test and its budgets. */
async function judge(engine: Engine, request: CandidateRequest, samples: readonly Buffer[]): Promise<Found> {
  const { manifest, measure: timed } = request;
  const damaged = manifest.selfTest.samples.findIndex(({ input }, at) => sha256(samples[at] ?? "") !== input.sha256);
  if (damaged !== -1) {
    return { rejected: fault("E_HASH", `the file of self-test sample ${damaged + 1} is not what the manifest says`) };
  }
  const wrong = await selfTest(engine, manifest, samples);
  if (wrong !== undefined) return { rejected: wrong };
  if (!timed) return {};
  const times = await timeOf(engine, manifest, samples);
  const rssBytes = process.memoryUsage().rss;
  const { providerBytes } = engine;
  const over = overBudget(manifest, times, { rssBytes, providerBytes });
  const taken = { rssBytes, ...(providerBytes === 0 ? {} : { providerBytes }) };
  return { ...times, ...taken, ...(over === undefined ? {} : { rejected: over }) };
}

interface Times {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** The first sample whose answer is not the expected one. */
async function selfTest(
  engine: Engine,
  manifest: Manifest,
  samples: readonly Buffer[],
): Promise<DeviceError | undefined> {
  const { selfTest: test } = manifest;
  const pipeline = pipelineOf(manifest);
  for (const [at, sample] of test.samples.entries()) {
    const name = `sample ${at + 1} of ${test.samples.length} (${sample.input.sha256.slice(0, 12)})`;
    try {
      const reading = await readBytes(engine, pipeline, samples[at] ?? Buffer.alloc(0));
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
  const pipeline = pipelineOf(manifest);
  const timesMs: number[] = [];
  const startMs = performance.now();
  const enough = () =>
    timesMs.length >= measure.wantedRuns ||
    (timesMs.length >= measure.minRuns && performance.now() - startMs > measure.limitMs);
  while (!enough()) {
    const beganMs = performance.now();
    await readBytes(engine, pipeline, samples[timesMs.length % samples.length] ?? Buffer.alloc(0));
    timesMs.push(performance.now() - beganMs);
  }
  timesMs.sort((a, b) => a - b);
  // Clocks are no finer than microseconds.
  const at = (q: number) =>
    Math.round(1000 * (timesMs[Math.min(timesMs.length - 1, Math.floor(q * timesMs.length))] ?? 0)) / 1000;
  return { p50Ms: at(0.5), p95Ms: at(0.95) };
}

async function readBytes(engine: Engine, pipeline: Pipeline, bytes: Buffer): Promise<Reading> {
  const { readings } = await engine.read([onlyInput(await pipeline.decode(bytes))]);
  return readings[0] as Reading;
}

interface Memory {
  readonly rssBytes: number;
  /** What of it the provider takes whatever model it runs. */
  readonly providerBytes: number;
}

function overBudget({ budgets }: Manifest, { p95Ms }: Times, memory: Memory): DeviceError | undefined {
  const { p95LatencyMs = Number.POSITIVE_INFINITY, memoryMb = Number.POSITIVE_INFINITY } = budgets;
  if (p95Ms > p95LatencyMs) {
    return fault("E_LATENCY", `95 % of the inputs take up to ${p95Ms.toFixed(2)} ms, the budget is ${p95LatencyMs} ms`);
  }
  const [allMb, ownMb] = [memory.rssBytes / megabyte, memory.providerBytes / megabyte];
  if (allMb - ownMb <= memoryMb) return undefined;
  const own = ownMb === 0 ? "" : ` without the ${ownMb.toFixed(0)} MB of its provider`;
  return fault("E_MEMORY", `the process needs ${(allMb - ownMb).toFixed(0)} MB${own}, the budget is ${memoryMb} MB`);
}

function fault(code: DeviceErrorCode, detail: string): DeviceError {
  return { code, detail: detail.slice(0, 2000) };
}
