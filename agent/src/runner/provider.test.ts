import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { childEnv } from "../adapters/child-env.js";
import { probeRuntime, runtimeFault } from "../adapters/provider-probe.js";
import { otherRuntime } from "../testing/other-runtime.js";
import type { Slot, TrialRequest } from "./protocol.js";
import { infer, makeManifest, modelFile, picture, serve, slotOf, startRunner, temporaryFolder } from "./testing.js";
import { trialBy } from "./trial.js";

const options = { timeoutMs: 60_000, signal: new AbortController().signal };

async function request(): Promise<TrialRequest> {
  const bytes = await picture(1);
  const samplePath = join(await temporaryFolder(), "sample");
  await writeFile(samplePath, bytes);
  const manifest = await makeManifest([bytes]);
  const artifact = manifest.variants[0]?.artifact.sha256 ?? "";
  const way = { variant: "fp32", threads: 1 };
  return {
    ...{ manifest, variants: [{ name: "fp32", artifact, modelPath: modelFile }], samplePaths: [samplePath] },
    candidates: [
      { ...way, provider: "cuda" },
      { ...way, provider: "cpu" },
    ],
    ...{ machine: "this", measure: true },
  };
}

async function slotOn(provider: string): Promise<Slot> {
  return { ...slotOf(await makeManifest([await picture(1)])), provider };
}

test("a provider that takes the model is tried, and its nodes are counted", async () => {
  const result = await trialBy({ env: await otherRuntime("works") })(await request(), options);
  assert.ok(result.kind === "passed");
  const [cuda] = result.tried;
  assert.equal(cuda?.rejected, undefined);
  assert.ok((cuda?.nodes?.cuda ?? 0) > 10 && cuda?.nodes?.cpu === undefined);
});

test("a provider that leaves every node to the processor is rejected, whatever it says of itself", async () => {
  const result = await trialBy({ env: await otherRuntime("silent") })(await request(), options);
  assert.ok(result.kind === "passed");
  assert.equal(result.provider, "cpu");
  const [cuda] = result.tried;
  assert.equal(cuda?.rejected?.code, "E_PROVIDER");
  assert.match(cuda?.rejected?.detail ?? "", /every node of the model runs on cpu/);
  assert.ok((cuda?.nodes?.cpu ?? 0) > 10);
});

test("a provider that takes its process with it costs that process only", async () => {
  const result = await trialBy({ env: await otherRuntime("crashes") })(await request(), options);
  assert.ok(result.kind === "passed");
  assert.deepEqual([result.provider, result.tried[0]?.rejected?.code], ["cpu", "E_CRASH"]);
});

test("a version whose provider is gone serves on the processor, and says so in status and windows", async (t) => {
  const { host, url, log } = await startRunner(t, { workers: 1 }, { env: await otherRuntime("absent") });
  await serve(host, await slotOn("cuda"));
  assert.equal((await infer(url, await picture(1))).status, 200);
  const [model] = (await host.status()).models;
  assert.deepEqual([model?.running.requested, model?.running.actual], ["cuda", "cpu"]);
  assert.match(model?.running.reason ?? "", /libcudart\.so\.12 cannot be opened/);
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.provider, window?.requestedProvider], ["cpu", "cuda"]);
  assert.ok(log.events.includes("runner.provider.fallback"));
});

test("a version that its provider leaves to the processor says so too", async (t) => {
  const { host } = await startRunner(t, { workers: 1 }, { env: await otherRuntime("silent") });
  await serve(host, await slotOn("cuda"));
  const [model] = (await host.status()).models;
  assert.deepEqual(model?.running, {
    ...{ requested: "cuda", actual: "cpu" },
    reason: "cuda starts, but what it is given runs on cpu",
  });
});

test("a version on the provider it was to run on has no reason and no other provider in its windows", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1 }, { env: await otherRuntime("works") });
  await serve(host, await slotOn("cuda"));
  assert.equal((await infer(url, await picture(1))).status, 200);
  const status = await host.status();
  assert.deepEqual(status.models[0]?.running, { requested: "cuda", actual: "cuda" });
  assert.deepEqual(status.providers, ["cpu", "cuda"], "the build that was named is the one that is loaded");
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.provider, window?.requestedProvider], ["cuda", undefined]);
});

test("every provider of a build is tried in a process of its own", async () => {
  const faults = async (behaviour: Parameters<typeof otherRuntime>[0]) => {
    const { providers, version } = await probeRuntime(await otherRuntime(behaviour));
    assert.match(version, /^\d+\.\d+/);
    return Object.fromEntries(providers.map(({ provider, fault }) => [provider, fault]));
  };
  assert.deepEqual(await faults("works"), { cpu: undefined, cuda: undefined });
  assert.match((await faults("silent")).cuda ?? "", /it starts, but what it is given runs on cpu/);
  assert.match((await faults("crashes")).cuda ?? "", /trying it ended with SIGSEGV/);
});

test("a folder that is no ONNX Runtime is told with its path", async () => {
  const empty = await temporaryFolder();
  assert.match((await runtimeFault(childEnv(empty))) ?? "", new RegExp(`cannot be loaded from ${empty}`));
  assert.match((await probeRuntime(childEnv(empty))).error ?? "", /cannot be loaded/);
  assert.equal(await runtimeFault(await otherRuntime("works")), undefined);
});
