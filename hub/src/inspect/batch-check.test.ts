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
  samples: readonly { readonly a: number; readonly y: number }[] = [{ a: 0, y: 1 }],
) {
  const folder = await mkdtemp(join(tmpdir(), "muster-batch-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const nodes =
    op === largest
      ? [
          { op: "ReduceMax", inputs: ["x"], outputs: ["most"] },
          { op: "Max", inputs: ["x", "most"], outputs: ["y"] },
        ]
      : [{ op, inputs: ["x"], outputs: ["y"], ints }];
  await writeFile(join(folder, "m.onnx"), tinyOnnx({ input: [1, 2], output: [1, 2], nodes, ...free }));
  const files = samples.map((_, at) => `${at}.json`);
  for (const [at, { a }] of samples.entries()) await writeFile(join(folder, `${at}.json`), JSON.stringify({ a, b: a }));
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
      selfTest: {
        tolerance: 0.01,
        samples: samples.map(({ y }, at) => ({ file: files[at], expect: { outputs: { y: [y, y] } } })),
      },
    }),
  );
  return { bundle, session, samples: files.map((file) => join(folder, file)) };
}

/** Every number, or the largest of the whole run where that is larger. */
const largest = "largest";

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
  assert.match(
    mixed?.message ?? "",
    /'0\.json' on variant fp32: .*0\.25.* \(with 4 inputs in one run, 2 of them answered otherwise than alone\)/,
  );
});

test("a model whose rows hear of each other is found where equal rows would hide it", async (t) => {
  const samples = [1, 2].map((a) => ({ a, y: a }));
  const { bundle, session, samples: files } = await opened(t, largest, { freeBatch: "n" }, {}, samples);
  const [mixed] = await fullBatchProblems(session, bundle, files, "fp32");
  assert.match(mixed?.message ?? "", /'0\.json' on variant fp32: .* 2 of them answered otherwise/);
});
