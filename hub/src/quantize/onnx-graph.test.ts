import assert from "node:assert/strict";
import { test } from "node:test";
import { readOnnx, writeOnnx } from "./onnx-graph.js";
import { type TinyModel, tinyOnnx } from "./testing/tiny-onnx.js";

const unreadable = { code: "bundle/model-unreadable" };
const scaled: TinyModel = {
  input: [1, 4],
  output: [1, 4],
  nodes: [
    { op: "Constant", outputs: ["half"], value: { name: "", dims: [4], data: new Float32Array(4).fill(0.5) } },
    { op: "Mul", inputs: ["x", "half"], outputs: ["scaled"] },
    { op: "Add", inputs: ["scaled", "shift"], outputs: ["y"] },
  ],
  initialisers: [{ name: "shift", dims: [2, 2], data: Float32Array.of(1, 2, 3, 4), asList: true }],
};

test("a model shows its versions, operations and constants, wherever they are kept", () => {
  const model = readOnnx(tinyOnnx(scaled));
  assert.equal(model.irVersion, 8);
  assert.equal(model.opset, 13);
  assert.deepEqual(
    model.nodes().map(({ opType }) => opType),
    ["Constant", "Mul", "Add"],
  );
  assert.deepEqual(model.floats("half"), { dims: [4], data: Float32Array.of(0.5, 0.5, 0.5, 0.5) });
  assert.deepEqual(model.floats("shift"), { dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) });
  assert.equal(model.floats("scaled"), undefined);
  assert.deepEqual(
    ["x", "shift", "scaled", "nothing"].map((name) => model.has(name)),
    [true, true, true, false],
  );
});

test("changed numbers are in the file that is written", () => {
  const model = readOnnx(tinyOnnx(scaled));
  model.setFloats("half", Float32Array.of(1, 2, 3, 4));
  model.setFloats("shift", Float32Array.of(0, 0, 0, 7));
  const again = readOnnx(writeOnnx(model));
  assert.deepEqual([...(again.floats("half")?.data ?? [])], [1, 2, 3, 4]);
  assert.deepEqual([...(again.floats("shift")?.data ?? [])], [0, 0, 0, 7]);
  assert.throws(() => model.setFloats("half", new Float32Array(3)), RangeError);
  assert.throws(() => model.setFloats("nothing", new Float32Array(3)), RangeError);
});

test("bytes that are no ONNX model are refused with a typed error", () => {
  const strange = [
    Buffer.alloc(0),
    Buffer.from("hello"),
    Buffer.from('{"json": true}'),
    Buffer.alloc(1000),
    Buffer.alloc(1000, 0xff),
    Buffer.from([0x08, 0x08]),
  ];
  for (const bytes of strange) assert.throws(() => readOnnx(bytes), unreadable, bytes.toString("hex", 0, 8));
});

test("a model cut off anywhere is refused with a typed error", () => {
  const whole = tinyOnnx(scaled);
  for (let length = 0; length < whole.length; length += 1) {
    assert.throws(() => readOnnx(whole.subarray(0, length)), unreadable, `${length} of ${whole.length} bytes`);
  }
  assert.doesNotThrow(() => readOnnx(whole));
});

test("graphs nested without end are refused and do not end the process", () => {
  const depth = 20_000;
  const length = Buffer.from([0xff, 0xff, 0xff, 0x7f]);
  const node = Buffer.concat([Buffer.from([0x0a]), length, Buffer.from([0x2a]), length, Buffer.from([0x32]), length]);
  const bytes = Buffer.concat([Buffer.from([0x08, 0x08, 0x3a]), length, ...Array.from({ length: depth }, () => node)]);
  assert.throws(() => readOnnx(bytes), unreadable);
});

test("a constant whose numbers do not fill its shape is refused", () => {
  const short = { name: "shift", dims: [3, 3], data: new Float32Array(4) };
  const model = readOnnx(tinyOnnx({ ...scaled, initialisers: [short] }));
  assert.throws(() => model.floats("shift"), { ...unreadable, message: /'shift' has 4 numbers, .* \[3, 3\] needs 9/ });
});
