import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { heldDecoder } from "@muster/agent/testing";
import { Manifest, sha256 } from "@muster/shared";
import { hoursLeft, machinesCsv, makeWearBundle } from "../fixtures/task-bundles.js";
import { serveModel } from "../fleet/served-model.js";
import { temporaryFolder } from "./place.js";

test("while a large table is decoded, a small one is answered", async (t) => {
  const folder = await temporaryFolder(t);
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  await makeWearBundle(folder, "1.0.0");
  const model = await readFile(join(folder, "model.onnx"));
  const blob = { sha256: sha256(model), sizeBytes: model.length };
  const bundle = JSON.parse(await readFile(join(folder, "muster.yaml"), "utf8"));
  const { task, tensors, preprocess, postprocess } = bundle;
  const manifest = Manifest.parse({
    ...{ model: "wear", version: "1.0.0", release: 1, createdMs: 0, task, tensors, preprocess, postprocess },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    selfTest: { tolerance: 0.1, samples: [{ input: blob, values: { hoursLeft: 0 } }] },
    ...{ budgets: {}, baseline: {}, metadata: {} },
  });
  // The runner inherits both.
  Object.assign(process.env, { NODE_OPTIONS: `--import ${heldDecoder.href}`, MUSTER_TEST_HOLD: pipe });
  const served = await serveModel(manifest, join(folder, "model.onnx"), 2);
  for (const name of ["NODE_OPTIONS", "MUSTER_TEST_HOLD"]) delete process.env[name];
  t.after(() => served.close());
  const ask = async (body: string, type: string) => {
    const headers = { "content-type": type };
    const response = await fetch(`${served.url}/v2/models/wear/infer`, {
      ...{ method: "POST", headers, body },
      signal: AbortSignal.timeout(60_000),
    });
    assert.equal(response.status, 200);
    return (await response.json()) as { answers: { values: { hoursLeft: number } }[] };
  };
  const { text, machines } = machinesCsv(1500, 1);
  const [head = "", ...rows] = text.trim().split("\n");
  const large = [`held,${head}`, ...rows.map((row) => `${"x".repeat(40)},${row}`)].join("\n");
  assert.ok(large.length > 64_000);
  const right = ({ answers }: Awaited<ReturnType<typeof ask>>, of: typeof machines) => {
    const differences = of.map((one, at) => Math.abs((answers[at]?.values.hoursLeft ?? Number.NaN) - hoursLeft(one)));
    assert.ok(answers.length === of.length && differences.every((difference) => difference < 0.01));
  };

  let over = false;
  const asked = ask(large, "text/csv").finally(() => {
    over = true;
  });
  // A pipe can be written to only when somebody reads: from now on the large table holds the thread that decodes it.
  const held = await open(pipe, "w");
  const small = machinesCsv(3, 2);
  right(await ask(small.text, "text/csv"), small.machines);
  assert.equal(over, false);
  await held.close();
  right(await asked, machines);
});
