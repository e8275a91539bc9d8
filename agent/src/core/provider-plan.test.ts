import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware } from "@muster/shared";
import { isStepDown, maxCandidates, planProviders, planTrial } from "./provider-plan.js";

const pi = { platform: "linux", arch: "arm64", cores: 4, providers: ["cpu"] } as Hardware;
const nvidia = { gpus: [{ name: "NVIDIA GPU of the Jetson module", shared: true }] };
const ways = (hardware: Hardware) => planProviders(hardware).map(({ provider, threads }) => `${provider} ${threads}`);

test("one, half and all cores are tried, each once, and a quarter of many", () => {
  assert.deepEqual(ways(pi), ["cpu 1", "cpu 2", "cpu 4"]);
  assert.deepEqual(ways({ ...pi, cores: 1 }), ["cpu 1"]);
  assert.deepEqual(ways({ ...pi, cores: 12 }), ["cpu 1", "cpu 3", "cpu 6", "cpu 12"]);
  assert.deepEqual(ways({ ...pi, cores: 64 }).at(-1), "cpu 16");
});

test("of big and little cores only the big ones get threads, and no more than this process may use", () => {
  const clusters = [{ cores: 4 }, { cores: 4 }];
  assert.deepEqual(ways({ ...pi, cores: 8, clusters }), ["cpu 1", "cpu 2", "cpu 4"]);
  assert.deepEqual(ways({ ...pi, cores: 2, clusters }), ["cpu 1", "cpu 2"]);
});

test("a provider is tried where there is something for it to run on, the most promising first", () => {
  const build = { ...pi, cores: 1, providers: ["cpu", "webgpu", "cuda", "tensorrt"] };
  assert.deepEqual(ways(build), ["cpu 1"]);
  assert.deepEqual(ways({ ...build, gpus: [{ name: "Mali GPU", shared: true }] }), ["webgpu 1", "cpu 1"]);
  assert.deepEqual(ways({ ...build, ...nvidia }), ["tensorrt 1", "cuda 1", "webgpu 1", "cpu 1"]);
  assert.deepEqual(ways({ ...build, platform: "win32", providers: ["cpu", "webgpu", "dml"] }), [
    "dml 1",
    "webgpu 1",
    "cpu 1",
  ]);
});

test("with an NVIDIA GPU its providers are tried even when the build has none, so that the trial says so", () => {
  assert.deepEqual(ways({ ...pi, cores: 1, ...nvidia }), ["tensorrt 1", "cuda 1", "cpu 1"]);
});

test("every variant is tried on every provider, up to a limit that drops the least promising", () => {
  const plan = planTrial(["fp16", "fp32"], { ...pi, cores: 2, ...nvidia });
  assert.deepEqual(
    plan.map(({ variant, provider, threads }) => `${variant} ${provider} ${threads}`),
    [
      ...["fp16 tensorrt 1", "fp32 tensorrt 1", "fp16 cuda 1", "fp32 cuda 1"],
      ...["fp16 cpu 1", "fp16 cpu 2", "fp32 cpu 1", "fp32 cpu 2"],
    ],
  );
  const many = Array.from({ length: 20 }, (_, at) => `v${at}`);
  assert.equal(planTrial(many, { ...pi, ...nvidia }).length, maxCandidates);
});

test("only a less promising provider is a step down", () => {
  assert.ok(isStepDown("tensorrt", "cuda") && isStepDown("cuda", "cpu") && isStepDown("cpu", "abacus"));
  assert.ok(!isStepDown("cpu", "cuda") && !isStepDown("cuda", "cuda"));
});
