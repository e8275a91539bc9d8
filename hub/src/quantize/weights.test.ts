import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OnnxSession } from "@muster/shared/inference";
import { readOnnx } from "./onnx-graph.js";
import { type TinyModel, type TinyTensor, tinyOnnx } from "./testing/tiny-onnx.js";
import { quantizeWeights } from "./weights.js";

/** The largest weight of an output channel: so different that one scale could not hold them all. */
const largest = (channel: number) => 10 ** ((channel % 4) - 3);

/** A weight with random numbers. */
function weight(dims: readonly number[], channelAxis: number, asList = false): TinyTensor {
  const count = dims.reduce((product, size) => product * size, 1);
  const inner = dims.slice(channelAxis + 1).reduce((product, size) => product * size, 1);
  const channels = dims[channelAxis] ?? 1;
  const data = noise(count).map((value, at) => value * largest(Math.floor(at / inner) % channels));
  return { name: "w", dims, data, asList };
}

/** Numbers in every weight of the layers below. */
const elements = 1152;
const conv = { op: "Conv", inputs: ["x", "w"], outputs: ["y"] };
const matMul = { op: "MatMul", inputs: ["x", "w"], outputs: ["y"] };
const convModel: TinyModel = {
  input: [1, 8, 6, 6],
  output: [1, 16, 4, 4],
  nodes: [conv],
  initialisers: [weight([16, 8, 3, 3], 0)],
};
const matMulModel: TinyModel = {
  input: [1, 36],
  output: [1, 32],
  nodes: [matMul],
  initialisers: [weight([36, 32], 1)],
};

const layers: Record<string, TinyModel> = {
  "a convolution": convModel,
  "a convolution as exporters wrote it before IR version 4": {
    ...convModel,
    irVersion: 3,
    opset: 7,
    initialisersAsInputs: true,
  },
  "a weight that is also an input": { ...convModel, irVersion: 7, initialisersAsInputs: true },
  "a transposed convolution whose weight is a Constant": {
    input: [1, 16, 4, 4],
    output: [1, 8, 6, 6],
    opset: 9,
    nodes: [
      { op: "Constant", outputs: ["w"], value: weight([16, 8, 3, 3], 1) },
      { op: "ConvTranspose", inputs: ["x", "w"], outputs: ["y"] },
    ],
  },
  "a matrix product": matMulModel,
  "a matrix product with its weight as a list of floats": { ...matMulModel, initialisers: [weight([36, 32], 1, true)] },
  "a Gemm": { ...matMulModel, nodes: [{ ...matMul, op: "Gemm" }] },
  "a Gemm with a transposed weight": {
    ...matMulModel,
    nodes: [{ ...matMul, op: "Gemm", ints: { transB: 1 } }],
    initialisers: [weight([32, 36], 0)],
  },
};

for (const [name, model] of Object.entries(layers)) {
  test(`${name} becomes int8, smaller, and errs in no channel by more than its own rounding`, async (t) => {
    const original = tinyOnnx(model);
    const { model: small, quantized, kept } = quantizeWeights(original);
    assert.deepEqual({ quantized, kept }, { quantized: 1, kept: 0 });
    assert.ok(small.length < original.length * 0.6, `${small.length} of ${original.length} bytes`);
    const before = await outputs(t, original, model.input);
    const after = await outputs(t, small, model.input);
    const [, channels = 1] = model.output;
    const products = elements / channels;
    before.forEach((value, at) => {
      const channel = Math.floor(at / (before.length / channels));
      const error = Math.abs(value - (after[at] ?? Number.NaN));
      assert.ok(error <= (products * largest(channel) * 1.01) / 254, `channel ${channel}: ${error}`);
    });
  });
}

test("a weight stays when it is small, not finite or computed, and a model without others comes back as it was", () => {
  const broken = weight([36, 32], 1);
  broken.data[7] = Number.NaN;
  const reasons: TinyModel[] = [
    { input: [1, 4], output: [1, 4], nodes: [matMul], initialisers: [weight([4, 4], 1)] },
    { ...matMulModel, initialisers: [broken] },
    { ...matMulModel, input: [4, 4], output: [4, 4], nodes: [{ ...matMul, inputs: ["x", "x"] }], initialisers: [] },
  ];
  for (const model of reasons) {
    const bytes = tinyOnnx(model);
    assert.deepEqual(quantizeWeights(bytes), { model: bytes, quantized: 0, kept: 1 });
  }
});

test("new names do not take those that are there", () => {
  const { model, quantized } = quantizeWeights(
    tinyOnnx({
      ...matMulModel,
      nodes: [matMul, { op: "Identity", inputs: ["x"], outputs: ["w.int8"] }],
    }),
  );
  const outputsOf = readOnnx(model)
    .nodes()
    .flatMap((node) => node.outputs);
  assert.equal(quantized, 1);
  assert.equal(new Set(outputsOf).size, outputsOf.length);
  assert.ok(readOnnx(model).has("w.int8_"));
});

test("weights too small for float32's full precision do not change their sign", async (t) => {
  const tiny = weight([36, 32], 1);
  tiny.data.fill(-1.8e-43);
  const { model } = quantizeWeights(tinyOnnx({ ...matMulModel, initialisers: [tiny] }));
  const result = await outputs(t, model, matMulModel.input, 1);
  assert.ok(result.every((value) => value <= 0));
});

test("bytes that are no model, and an opset ONNX Runtime does not know, are refused with a typed error", () => {
  const unreadable = { code: "bundle/model-unreadable" };
  assert.throws(() => quantizeWeights(Buffer.from("no model")), unreadable);
  assert.throws(() => quantizeWeights(tinyOnnx({ ...convModel, opset: 6 })), { ...unreadable, message: /opset 6/ });
});

/** What ONNX Runtime gives for an input of the shape. */
async function outputs(t: TestContext, model: Uint8Array, shape: readonly number[], value?: number): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), "muster-quantize-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "model.onnx"), model);
  const session = await OnnxSession.load(join(folder, "model.onnx"), { provider: "cpu", threads: 1 });
  const size = shape.reduce((product, dim) => product * dim, 1);
  const input = noise(size).map((random) => value ?? random);
  const [name] = session.tensors().inputs.map((tensor) => tensor.name);
  const [output] = await session.run([{ name: name ?? "", dtype: "float32", shape, data: input }]);
  await session.close();
  return Array.from(output?.data as Float32Array);
}

/** Numbers in [-1, 1), the same each time (Park and Miller's generator). */
function noise(count: number): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  let state = count;
  for (let at = 0; at < count; at += 1) {
    state = (state * 48_271) % 2_147_483_647;
    numbers[at] = state / 1_073_741_824 - 1;
  }
  return numbers;
}
