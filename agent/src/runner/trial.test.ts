import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Manifest, sha256, type TriedCandidate } from "@muster/shared";
import type { TrialRequest } from "./protocol.js";
import { damagedModel, makeManifest, memoryLog, modelFile, picture, sampleOf, temporaryFolder } from "./testing.js";
import { runTrial, trialBy } from "./trial.js";
import { chooseCandidate, fairShareMs } from "./trial-choice.js";

const options = { timeoutMs: 60_000, signal: new AbortController().signal };
const cpu = (threads: number) => ({ variant: "fp32", provider: "cpu", threads });

async function request(
  changes: Partial<TrialRequest & TrialRequest["variants"][number]> = {},
  manifest?: Manifest,
): Promise<TrialRequest> {
  const folder = await temporaryFolder();
  const samples = [await picture(1), await picture(2)];
  const samplePaths = samples.map((_, at) => join(folder, `sample-${at}`));
  for (const [at, path] of samplePaths.entries()) await writeFile(path, samples[at] ?? "");
  const proven = manifest ?? (await makeManifest(samples));
  const { artifact = proven.variants[0]?.artifact.sha256 ?? "", modelPath = modelFile, ...others } = changes;
  const variants = [{ name: "fp32", artifact, modelPath }];
  return { manifest: proven, variants, samplePaths, candidates: [cpu(1)], machine: "this", measure: true, ...others };
}

async function script(text: string): Promise<URL> {
  const path = join(await temporaryFolder(), "trial.mjs");
  await writeFile(path, text);
  return pathToFileURL(path);
}

test("a version that is as promised passes, with its latency and memory on every candidate", async () => {
  const told: string[] = [];
  const result = await runTrial(await request({ candidates: [cpu(1), cpu(2)] }), {
    ...options,
    onCandidate: ({ threads }, number, of) => told.push(`${number} of ${of}: ${threads}`),
  });
  assert.deepEqual(told, ["1 of 2: 1", "2 of 2: 2"]);
  assert.equal(result.kind, "passed");
  if (result.kind !== "passed") return;
  assert.equal(result.provider, "cpu");
  for (const { p50Ms = 0, p95Ms = 0, rssBytes = 0 } of result.tried) {
    assert.ok(p50Ms > 0 && p95Ms >= p50Ms && rssBytes > 20_000_000);
  }
  assert.deepEqual(
    result.tried.map(({ threads, rejected }) => [threads, rejected]),
    [
      [1, undefined],
      [2, undefined],
    ],
  );
});

test("a version that gives other answers than promised is rejected with the sample and what differed", async () => {
  const bytes = await picture(1);
  const honest = await makeManifest([bytes, await picture(2)]);
  const label = honest.selfTest.samples[0]?.label === "upright" ? "rotated-180" : "upright";
  const [, second] = honest.selfTest.samples;
  const samples = [sampleOf(bytes, { label }), ...(second === undefined ? [] : [second])];
  const result = await runTrial(await request({}, { ...honest, selfTest: { tolerance: 0.02, samples } }), options);
  assert.ok(result.kind === "failed");
  assert.equal(result.error.code, "E_SELFTEST");
  assert.match(result.error.detail, new RegExp(`sample 1 of 2 .*expected '${label}'`));
});

test("a model that ONNX Runtime cannot load is rejected with its words, and so is an unknown provider", async () => {
  const folder = await temporaryFolder();
  const modelPath = join(folder, "model.onnx");
  await writeFile(modelPath, "not a model");
  const unloadable = await runTrial(await request({ modelPath, artifact: sha256("not a model") }), options);
  assert.ok(unloadable.kind === "failed");
  assert.equal(unloadable.error.code, "E_PROVIDER");
  assert.match(unloadable.error.detail, /cannot load the model on cpu: .+/);

  const candidates = [{ ...cpu(1), provider: "abacus" }, cpu(1)];
  const result = await runTrial(await request({ candidates }), options);
  assert.ok(result.kind === "passed");
  assert.deepEqual([result.provider, result.tried[0]?.rejected?.code], ["cpu", "E_PROVIDER"]);
});

test("a damaged model file or sample is rejected before it is loaded", async () => {
  const modelPath = await damagedModel(await temporaryFolder());
  const model = await runTrial(await request({ modelPath, candidates: [cpu(1), cpu(2)] }), options);
  assert.ok(model.kind === "failed");
  assert.deepEqual([model.error.code, model.tried.length], ["E_HASH", 1]);
  const whole = await request();
  const sample = await runTrial({ ...whole, samplePaths: whole.samplePaths.toReversed() }, options);
  assert.ok(sample.kind === "failed");
  assert.equal(sample.error.code, "E_HASH");
});

test("a version over its budgets is rejected with what it needs", async () => {
  const slow = await makeManifest([await picture(1), await picture(2)], { budgets: { p95LatencyMs: 0.001 } });
  const late = await runTrial(await request({}, slow), options);
  assert.ok(late.kind === "failed");
  assert.equal(late.error.code, "E_LATENCY");
  assert.ok((late.tried[0]?.p95Ms ?? 0) > 0.001);
  const large = await makeManifest([await picture(1), await picture(2)], { budgets: { memoryMb: 1 } });
  const fat = await runTrial(await request({}, large), options);
  assert.ok(fat.kind === "failed");
  assert.match(`${fat.error.code} ${fat.error.detail}`, /E_MEMORY .* budget is 1 MB/);
});

test("a version that crashes its process is rejected with the signal, and the other candidates are tried", async () => {
  const crash = 'process.stderr.write("out of luck\\n", () => process.kill(process.pid, "SIGSEGV"))';
  const proven = "{ ...request.candidate, p50Ms: 1, p95Ms: 2, rssBytes: 3 }";
  const trial = trialBy({
    script: await script(
      `process.once("message", (request) => request.candidate.threads === 1 ? ${crash} : process.send(${proven}));`,
    ),
  });
  const alone = await trial(await request(), options);
  assert.ok(alone.kind === "failed");
  assert.equal(alone.error.code, "E_CRASH");
  assert.match(alone.error.detail, /SIGSEGV on cpu with 1 thread: out of luck/);
  const both = await trial(await request({ candidates: [cpu(1), cpu(2)] }), options);
  assert.ok(both.kind === "passed");
  assert.deepEqual([both.threads, both.tried[0]?.rejected?.code], [2, "E_CRASH"]);
});

test("a version is tried at the rank at which it would serve, though the agent has stepped back since", {
  skip: process.platform !== "linux" && "only there a priority is a thread's own",
}, async () => {
  const own = getPriority();
  const log = memoryLog();
  const ranked = trialBy({
    script: await script(`
      import { getPriority } from "node:os";
      process.once("message", ({ candidate }) => process.send({ ...candidate, p50Ms: 1, p95Ms: 2, rssBytes: getPriority() }));
    `),
    // A rank that everybody may give: the agent of this test stands before its trial.
    rank: { nice: own + 1, log },
  });
  const result = await ranked(await request(), options);
  assert.deepEqual([result.tried[0]?.rssBytes, log.events], [own + 1, []]);
});

test("a trial that hangs ends in time, and one that is cancelled at once", async () => {
  const trial = trialBy({ script: await script("process.once('message', () => { for (;;); });") });
  const late = await trial(await request(), { timeoutMs: 300, signal: options.signal });
  assert.ok(late.kind === "failed");
  assert.equal(late.error.code, "E_TIMEOUT");
  const cancel = new AbortController();
  const cancelled = trial(await request({ candidates: [cpu(1), cpu(2)] }), {
    timeoutMs: 60_000,
    signal: cancel.signal,
  });
  cancel.abort();
  const result = await cancelled;
  assert.ok(result.kind === "failed");
  assert.deepEqual([result.error.code, result.tried.length], ["E_CANCEL", 1]);
});

test("the fastest candidate wins, fewer threads win a tie, and of the same threads the more promising", () => {
  const proven = (threads: number, p50Ms: number, variant = "fp32"): TriedCandidate => {
    return { variant, provider: "cpu", threads, p50Ms, p95Ms: 2 * p50Ms, rssBytes: 1 };
  };
  const chosen = (...tried: TriedCandidate[]) => {
    const result = chooseCandidate(tried);
    return result.kind === "passed" ? `${result.variant} ${result.threads}` : result.error.code;
  };
  assert.equal(chosen(proven(1, 10), proven(2, 5), proven(4, 7)), "fp32 2");
  assert.equal(chosen(proven(4, 10), proven(2, 10.4), proven(1, 11)), "fp32 2");
  assert.equal(chosen(proven(1, 10), proven(1, 5, "int8")), "int8 1");
  assert.equal(chosen(proven(1, 5.1, "int8"), proven(1, 5)), "int8 1");
  const rejected = { ...cpu(1), provider: "cuda", rejected: { code: "E_PROVIDER" as const, detail: "" } };
  assert.equal(chosen(rejected), "E_PROVIDER");
  assert.equal(chosen(rejected, proven(2, 1)), "fp32 2");
});

test("the time left is shared fairly, and TensorRT, which builds an engine first, gets ten times as much", () => {
  const on = (...providers: string[]) => providers.map((provider) => ({ provider }));
  assert.equal(fairShareMs(1000, on("cpu", "cpu", "cpu", "cpu")), 250);
  assert.equal(fairShareMs(1200, on("tensorrt", "cuda", "cpu")), 1000);
  assert.equal(fairShareMs(1200, on("cpu")), 1200);
  assert.equal(fairShareMs(-5, on("cpu")), 1);
});

test("a damaged file costs its own variant only", async () => {
  const whole = await request();
  const [variant] = whole.variants;
  const bad = {
    name: "int8",
    artifact: variant?.artifact ?? "",
    modelPath: await damagedModel(await temporaryFolder()),
  };
  const candidates = [{ ...cpu(1), variant: "int8" }, { ...cpu(2), variant: "int8" }, cpu(1)];
  const result = await runTrial({ ...whole, variants: [bad, ...whole.variants], candidates }, options);
  assert.ok(result.kind === "passed");
  assert.equal(result.variant, "fp32");
  assert.deepEqual(
    result.tried.map((tried) => [tried.variant, tried.rejected?.code]),
    [
      ["int8", "E_HASH"],
      ["fp32", undefined],
    ],
  );
});
