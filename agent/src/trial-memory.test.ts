import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Manifest, TriedCandidate } from "@muster/shared";
import { MemoryDoc } from "@muster/shared/testing";
import type { RunTrial } from "./ports.js";
import type { TrialRequest } from "./runner/protocol.js";
import { makeManifest, memoryLog, modelFile, picture, temporaryFolder } from "./runner/testing.js";
import { runTrial } from "./runner/trial.js";
import { chooseCandidate } from "./runner/trial-choice.js";
import { maxRemembered, TrialMemory } from "./trial-memory.js";

const options = { timeoutMs: 60_000, signal: new AbortController().signal };
const cpu = (variant: string, threads: number) => ({ variant, provider: "cpu", threads });

/** A trial whose figures are given, and what it was asked for. */
function told(figures: (candidate: TrialRequest["candidates"][number]) => Partial<TriedCandidate>) {
  const asked: TrialRequest[] = [];
  const trial: RunTrial = async (request) => {
    asked.push(request);
    return chooseCandidate(request.candidates.map((candidate) => ({ ...candidate, ...figures(candidate) })));
  };
  return { asked, trial };
}

function memoryOver(trial: RunTrial) {
  const doc = new MemoryDoc<{ entries: { key: string; tried: TriedCandidate[] }[] }>({ entries: [] });
  return { doc, memory: new TrialMemory({ doc, trial, log: memoryLog() }) };
}

function request(over: Partial<TrialRequest> = {}): TrialRequest {
  return {
    manifest: { model: "m", version: "1", selfTest: { tolerance: 0.1 }, budgets: {} } as unknown as Manifest,
    variants: [
      { name: "int8", artifact: "a".repeat(64), modelPath: "" },
      { name: "fp32", artifact: "b".repeat(64), modelPath: "" },
    ],
    ...{ samplePaths: [], candidates: [cpu("int8", 1), cpu("int8", 2), cpu("fp32", 1)], machine: "this" },
    ...{ measure: true, ...over },
  };
}

const int8IsFast = told(({ variant, threads }) => ({ p50Ms: variant === "int8" ? threads : 3 }));

test("the same trial again only runs the self-test of the winner", async () => {
  const { asked, trial } = told(({ variant, threads }) => ({ p50Ms: variant === "int8" ? threads : 3 }));
  const { memory } = memoryOver(trial);
  const first = await memory.run(request(), options);
  const again = await memory.run(request(), options);
  assert.deepEqual(again, { ...first, remembered: true });
  assert.deepEqual(asked[1]?.candidates, [cpu("int8", 1)]);
  assert.equal(asked[1]?.measure, false);
});

test("another file, another machine and another self-test are measured anew, another name is not", async () => {
  const { manifest, variants } = request();
  const changes: [string, Partial<TrialRequest>, number][] = [
    ["file", { variants: variants.map((variant) => ({ ...variant, artifact: "c".repeat(64) })) }, 3],
    ["machine", { machine: "another build" }, 3],
    ["self-test", { manifest: { ...manifest, selfTest: { tolerance: 0.2 } } as unknown as Manifest }, 3],
    ["a thread more", { candidates: [...request().candidates, cpu("fp32", 2)] }, 4],
    ["name", { manifest: { ...manifest, version: "2", release: 2 } }, 1],
  ];
  for (const [what, change, tried] of changes) {
    const { asked, trial } = told(({ threads }) => ({ p50Ms: threads }));
    const { memory } = memoryOver(trial);
    await memory.run(request(), options);
    await memory.run(request(change), options);
    assert.equal(asked[1]?.candidates.length, tried, what);
  }
});

test("a winner that fails its self-test now is tried with all others again", async () => {
  let broken = false;
  const { asked, trial } = told(({ variant, threads }) =>
    broken && variant === "int8"
      ? { rejected: { code: "E_SELFTEST", detail: "other answers" } }
      : { p50Ms: variant === "int8" ? threads : 3 },
  );
  const { memory } = memoryOver(trial);
  await memory.run(request(), options);
  broken = true;
  const again = await memory.run(request(), options);
  assert.ok(again.kind === "passed" && again.variant === "fp32" && !again.remembered);
  assert.equal(await memory.favourite(request()), "fp32");
  assert.deepEqual(
    asked.map(({ candidates }) => candidates.length),
    [3, 1, 3],
  );
});

test("a known winner that was fetched alone and fails is forgotten, so that the next attempt tries all", async () => {
  let broken = false;
  const { trial } = told(({ threads }) =>
    broken ? { rejected: { code: "E_SELFTEST", detail: "other answers" } } : { p50Ms: threads },
  );
  const { memory } = memoryOver(trial);
  await memory.run(request(), options);
  broken = true;
  const variants = request().variants.slice(0, 1);
  const alone = request({ variants, candidates: [cpu("int8", 1), cpu("int8", 2)] });
  assert.equal((await memory.run(alone, options)).kind, "failed");
  assert.equal(await memory.favourite(request()), undefined);
});

test("what may go better another time is not remembered, and nothing is of a trial that failed", async () => {
  const late = told(({ variant }) =>
    variant === "int8" ? { rejected: { code: "E_TIMEOUT", detail: "" } } : { p50Ms: 3 },
  );
  const some = memoryOver(late.trial);
  await some.memory.run(request(), options);
  assert.equal((await some.doc.read()).entries.length, 1, "the other variant is known");
  const wrong = memoryOver(told(() => ({ rejected: { code: "E_SELFTEST", detail: "" } })).trial);
  assert.equal((await wrong.memory.run(request(), options)).kind, "failed");
  assert.equal((await wrong.doc.read()).entries.length, 0);
});

test("the variant that would win is known after a trial, so that no other has to be fetched", async () => {
  const { memory } = memoryOver(int8IsFast.trial);
  assert.equal(await memory.favourite(request()), undefined);
  await memory.run(request(), options);
  assert.equal(await memory.favourite(request()), "int8");
  assert.equal(await memory.favourite(request({ machine: "another" })), undefined);
});

test("only so many variants are remembered, the latest", async () => {
  const { doc, memory } = memoryOver(int8IsFast.trial);
  const numbered = (number: number) =>
    request({ variants: [{ name: "int8", artifact: String(number), modelPath: "" }], candidates: [cpu("int8", 1)] });
  for (let number = 0; number < maxRemembered + 5; number += 1) await memory.run(numbered(number), options);
  assert.equal((await doc.read()).entries.length, maxRemembered);
  assert.equal(await memory.favourite(numbered(4)), undefined);
  assert.equal(await memory.favourite(numbered(5)), "int8");
});

test("a damaged memory is thrown away and begun anew", async () => {
  const path = join(await temporaryFolder(), "trials.json");
  await writeFile(path, "{");
  const log = memoryLog();
  const memory = await TrialMemory.open(path, { trial: int8IsFast.trial, log });
  assert.deepEqual(log.events, ["trials.forgotten"]);
  await memory.run(request(), options);
  const later = await TrialMemory.open(path, { trial: int8IsFast.trial, log });
  assert.equal(await later.favourite(request()), "int8");
});

test("a real model is proven a second time by its self-test alone", async () => {
  const bytes = await picture(1);
  const samplePath = join(await temporaryFolder(), "sample");
  await writeFile(samplePath, bytes);
  const manifest = await makeManifest([bytes]);
  const artifact = manifest.variants[0]?.artifact.sha256 ?? "";
  const { memory } = memoryOver(runTrial);
  const real = request({
    ...{ manifest, variants: [{ name: "fp32", artifact, modelPath: modelFile }], samplePaths: [samplePath] },
    candidates: [cpu("fp32", 1)],
  });
  const first = await memory.run(real, options);
  const again = await memory.run(real, options);
  assert.ok(first.kind === "passed" && again.kind === "passed" && again.remembered);
  assert.deepEqual(again.tried, first.tried);
});
