import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseBundle } from "@muster/shared";
import { OnnxSession } from "@muster/shared/inference";
import { tinyOnnx } from "../quantize/testing/tiny-onnx.js";
import { fixedBatchProblems, fullBatchProblems } from "./batch-check.js";

/** A model of one operation, opened, its sample, and a bundle that wants four inputs in a run. */
async function opened(
  t: TestContext,
  op: string,
  free: { freeBatch?: string },
  ints: Readonly<Record<string, number>> = {},
) {
  const folder = await mkdtemp(join(tmpdir(), "muster-batch-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const nodes = [{ op, inputs: ["x"], outputs: ["y"], ints }];
  await writeFile(join(folder, "m.onnx"), tinyOnnx({ input: [1, 2], output: [1, 2], nodes, ...free }));
  const sample = join(folder, "one.json");
  await writeFile(sample, JSON.stringify({ a: 0, b: 0 }));
  const session = await OnnxSession.load(join(folder, "m.onnx"), { provider: "cpu", threads: 1 });
  t.after(() => session.close());
  const tensor = (name: string) => ({ name, dtype: "float32", shape: ["n", 2] });
  const bundle = parseBundle(
    JSON.stringify({
      ...{ name: "m", version: "1.0.0", task: "raw", batching: { maxRows: 4 } },
      variants: [{ name: "fp32", file: "m.onnx", precision: "fp32" }],
      tensors: { inputs: [tensor("x")], outputs: [tensor("y")] },
      preprocess: { decode: "table", columns: [{ name: "a" }, { name: "b" }] },
      postprocess: {},
      selfTest: { tolerance: 0.01, samples: [{ file: "one.json", expect: { outputs: { y: [1, 1] } } }] },
    }),
  );
  return { bundle, session, samples: [sample] };
}

test("a model whose rows do not mind each other fills a run", async (t) => {
  const { bundle, session, samples } = await opened(t, "Exp", { freeBatch: "n" });
  assert.deepEqual(fixedBatchProblems(bundle.tensors, session.tensors()), []);
  assert.deepEqual(await fullBatchProblems(session, bundle, samples, "fp32"), []);
});

test("a model that takes one row and no more is told from one whose batch is free", async (t) => {
  const { bundle, session, samples } = await opened(t, "Exp", {});
  const problems = fixedBatchProblems(bundle.tensors, session.tensors());
  assert.deepEqual(
    problems.map(({ field }) => field),
    ["tensors.inputs[0].shape", "tensors.outputs[0].shape"],
  );
  assert.match(problems[0]?.message ?? "", /begins with n, but the model file takes 1 there.*write 1, or export/);
  const [failed] = await fullBatchProblems(session, bundle, samples, "fp32");
  assert.equal(failed?.field, "batching.maxRows");
  assert.match(failed?.message ?? "", /^4 inputs in one run on variant fp32: /);
});

test("a model that mixes the rows of a run may not share runs", async (t) => {
  // Shares of the whole column: 1 alone, a quarter among four.
  const { bundle, session, samples } = await opened(t, "Softmax", { freeBatch: "n" }, { axis: 0 });
  const [mixed] = await fullBatchProblems(session, bundle, samples, "fp32");
  assert.equal(mixed?.field, "batching.maxRows");
  assert.match(mixed?.message ?? "", /'one\.json' on variant fp32, 4 of 4 inputs in one run: .*0\.25/);
});
