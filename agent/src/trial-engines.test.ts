import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { DeviceErrorCode, Manifest, TriedCandidate } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import { EngineCache, isTaken } from "./engine-cache.js";
import type { TrialRequest } from "./runner/protocol.js";
import { memoryLog, temporaryFolder } from "./runner/testing.js";
import { chooseCandidate } from "./runner/trial-choice.js";
import { trialWithEngines } from "./trial-engines.js";

const artifact = "a".repeat(64);

/**
 * A trial on TensorRT, which fails with `code` while a file `bad.engine` is in the folder, and builds one when none is; and
 * on the processor, which takes longer.
 */
async function bench(code: DeviceErrorCode, { taken = true, mends = true, takesMs = 0 } = {}) {
  const clock = new FakeClock();
  const limits: number[] = [];
  const cache = new EngineCache(await temporaryFolder(), 1_000_000);
  if (taken) await cache.put(artifact, "this", (folder) => writeFile(join(folder, "bad.engine"), "x"));
  const cacheDir = await cache.folder(artifact, "this");
  if (!taken) await writeFile(join(cacheDir, "bad.engine"), "x");
  let trials = 0;
  const told: [string, Record<string, unknown>][] = [];
  const stop = new AbortController();
  const trial = trialWithEngines({
    trial: async ({ candidates }, { timeoutMs }) => {
      trials += 1;
      limits.push(timeoutMs);
      clock.advance(takesMs);
      if (timeoutMs < takesMs) {
        const late: TriedCandidate["rejected"] = { code: "E_TIMEOUT", detail: "no result" };
        return chooseCandidate(candidates.map((candidate) => ({ ...candidate, rejected: late })));
      }
      const files = await readdir(cacheDir);
      const fails = files.includes("bad.engine") || !mends;
      if (files.length === 0) await writeFile(join(cacheDir, "own.engine"), "y");
      return chooseCandidate(
        candidates.map((candidate): TriedCandidate => {
          const gpu = candidate.provider === "tensorrt";
          const rejected = gpu && fails ? { rejected: { code, detail: "it does not fit" } } : {};
          return { ...candidate, p50Ms: gpu ? 1 : 9, ...rejected };
        }),
      );
    },
    tell: async (kind, fields) => void told.push([kind, fields]),
    ...{ clock, log: memoryLog() },
  });
  const request: TrialRequest = {
    manifest: { model: "m", version: "1" } as unknown as Manifest,
    variants: [{ name: "fp32", artifact, modelPath: "", cacheDir }],
    candidates: ["tensorrt", "cpu"].map((provider) => ({ variant: "fp32", provider, threads: 1 })),
    ...{ samplePaths: [], machine: "this", measure: true },
  };
  const run = () => trial(request, { timeoutMs: 1000, signal: stop.signal });
  return { run, limits, told, stop, cacheDir, files: () => readdir(cacheDir), trials: () => trials };
}

const where = (result: Awaited<ReturnType<Awaited<ReturnType<typeof bench>>["run"]>>) =>
  result.kind === "passed" ? result.provider : result.error.code;

test("an engine from elsewhere with which its provider fails is thrown away, told, and built here", async () => {
  for (const code of ["E_PROVIDER", "E_CRASH", "E_SELFTEST", "E_TIMEOUT"] as const) {
    const { run, told, cacheDir, files, trials } = await bench(code);
    assert.equal(where(await run()), "tensorrt");
    assert.deepEqual([trials(), await files(), await isTaken(cacheDir)], [2, ["own.engine"], false]);
    const reason = "tensorrt fails with it: it does not fit";
    assert.deepEqual(told, [["engine.refused", { model: "m", version: "1", artifact, reason }]]);
  }
});

test("a provider that fails with its own engine as well is left at that", async () => {
  const { run, told, trials } = await bench("E_PROVIDER", { mends: false });
  assert.equal(where(await run()), "cpu");
  assert.deepEqual([trials(), told.length], [2, 1]);
});

test("an engine that was built here, one that is only slow, and one of a cancelled trial stay", async () => {
  const own = await bench("E_PROVIDER", { taken: false });
  assert.equal(where(await own.run()), "cpu");
  const slow = await bench("E_LATENCY");
  assert.equal(where(await slow.run()), "cpu");
  const cancelled = await bench("E_CRASH");
  cancelled.stop.abort();
  await cancelled.run();
  for (const { trials, files, told } of [own, slow, cancelled]) {
    assert.deepEqual([trials(), (await files()).includes("bad.engine"), told], [1, true, []]);
  }
});

test("the second trial has what is left of the time; where it does not suffice, what passed before stays", async () => {
  const enough = await bench("E_CRASH", { takesMs: 400 });
  assert.equal(where(await enough.run()), "tensorrt");
  assert.deepEqual(enough.limits, [1000, 600]);
  for (const takesMs of [700, 1000]) {
    const short = await bench("E_CRASH", { takesMs });
    const result = await short.run();
    assert.equal(where(result), "cpu");
    assert.deepEqual(short.limits, [1000, Math.max(1, 1000 - takesMs)]);
    const codes = result.tried.map(({ provider, rejected }) => [provider, rejected?.code]);
    assert.deepEqual(codes, [
      ["tensorrt", "E_TIMEOUT"],
      ["cpu", undefined],
    ]);
  }
});
