import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { TensorSpec, Tensors } from "../model/tensors.js";
import type { NamedTensor } from "./named-tensor.js";
import { compareTensors, OnnxSession } from "./onnx-engine.js";
import { installedProviders } from "./onnxruntime.js";

const folder = await mkdtemp(join(tmpdir(), "muster-onnx-"));
after(() => rm(folder, { recursive: true }));

/** One protobuf field: a number as a varint below 128, anything else with its length in front. */
function field(number: number, value: number | string | Buffer[]): Buffer {
  if (typeof value === "number") return Buffer.from([number << 3, value]);
  const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.concat(value);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/** A tensor of float32 `[n, 3]`, as ONNX declares it. */
const declared = (name: string) => {
  const shape = field(2, [field(1, [field(2, "n")]), field(1, [field(1, 3)])]);
  return [field(1, name), field(2, [field(1, [field(1, 1), shape])])];
};

/** A model of one Softmax, byte by byte as ONNX lays it out. */
async function softmaxModel(): Promise<string> {
  const node = field(1, [field(1, "x"), field(2, "y"), field(4, "Softmax")]);
  const graph = [node, field(2, "g"), field(11, declared("x")), field(12, declared("y"))];
  const path = join(folder, "softmax.onnx");
  await writeFile(path, Buffer.concat([field(1, 8), field(7, graph), field(8, [field(1, ""), field(2, 13)])]));
  return path;
}

test("a model is loaded, says its tensors, and runs any batch", async () => {
  const session = await OnnxSession.load(await softmaxModel(), { provider: "cpu", threads: 1 });
  const shape = ["n", 3];
  assert.deepEqual(session.tensors(), {
    inputs: [{ name: "x", dtype: "float32", shape }],
    outputs: [{ name: "y", dtype: "float32", shape }],
  });
  const x = (numbers: number[], rows: number): NamedTensor => {
    return { name: "x", dtype: "float32", shape: [rows, numbers.length / rows], data: Float32Array.from(numbers) };
  };
  const [y] = await session.run([x([0, 0, 0, 1, 1, 100], 2)]);
  assert.deepEqual([y?.name, y?.dtype, y?.shape], ["y", "float32", [2, 3]]);
  assert.deepEqual(
    Array.from(y?.data as Float32Array, (value) => Math.round(value * 1000)),
    [333, 333, 333, 0, 0, 1000],
  );
  await assert.rejects(session.run([x([0, 0], 1)]), { code: "engine/failed", message: /failed to run/ });
  await session.close();
});

test("a file that is no model, or none at all, is an error that says so", async () => {
  const path = join(folder, "broken.onnx");
  await writeFile(path, "hello");
  for (const file of [path, join(folder, "none.onnx")]) {
    await assert.rejects(OnnxSession.load(file, { provider: "cpu", threads: 1 }), {
      code: "engine/failed",
      message: /cannot load the model on cpu: /,
    });
  }
});

test("the CPU is always there", () => {
  assert.ok(installedProviders().includes("cpu"));
});

const tensor = (name: string, shape: TensorSpec["shape"], dtype: TensorSpec["dtype"] = "float32") => ({
  name,
  dtype,
  shape,
});
const actual: Tensors = { inputs: [tensor("image", ["N", 3, 8, 8])], outputs: [tensor("scores", ["N", 4])] };

test("a bundle that says what its file says has no problem, whatever it calls free dimensions", () => {
  assert.deepEqual(compareTensors(actual, actual), []);
  const named: Tensors = { inputs: [tensor("image", ["batch", 3, 8, 8])], outputs: [tensor("scores", [1, "classes"])] };
  assert.deepEqual(compareTensors(named, actual), []);
});

test("every difference from the file is told with its field", () => {
  const fields = (wrong: Partial<Tensors>) =>
    compareTensors({ ...actual, ...wrong }, actual, "bundle").map(({ field: path, message }) => `${path}: ${message}`);
  assert.deepEqual(fields({ inputs: [tensor("image", ["n", 3, 9, 8])] }), [
    "bundle.inputs[0].shape: the model file says [N, 3, 8, 8], not [n, 3, 9, 8]",
  ]);
  assert.deepEqual(fields({ outputs: [tensor("scores", ["n", 4], "float16")] }), [
    "bundle.outputs[0].dtype: the model file says float32, not float16",
  ]);
  assert.deepEqual(fields({ inputs: [tensor("picture", ["n", 3, 8, 8])] }), [
    "bundle.inputs: the model file has 'image', the bundle does not; add it",
    "bundle.inputs[0].name: the model file has no 'picture'; it has image",
  ]);
});
