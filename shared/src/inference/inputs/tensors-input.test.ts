import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensors } from "../../model/tensors.js";
import { readNpy } from "./npy.js";
import { tensorsInput } from "./tensors-input.js";

/** A `.npy` file as numpy.save writes it (format version 1.0). */
function npy(descr: string, shape: string, data: Uint8Array, order = "False"): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const header = `${text.padEnd(117)}\n`;
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length, 0]),
    Buffer.from(header),
    data,
  ]);
}
const bytesOf = (data: Float32Array | BigInt64Array) => new Uint8Array(data.buffer);

const one: Tensors = { inputs: [{ name: "x", dtype: "float32", shape: ["n", 2] }], outputs: [] };
const two: Tensors = { ...one, inputs: [...one.inputs, { name: "k", dtype: "int64", shape: ["n"] }] };
const decode = (tensors: Tensors, body: Uint8Array | string) => tensorsInput(tensors).decode(Buffer.from(body));

test("tensors are read from JSON, flat or nested, in the model's types", async () => {
  const body = JSON.stringify({
    inputs: [
      { name: "k", shape: [2], datatype: "INT64", data: [7, -1] },
      {
        name: "x",
        shape: [2, 2],
        data: [
          [1, 2],
          [3, 4.5],
        ],
      },
    ],
  });
  const { inputs, list } = await decode(two, body);
  assert.ok(!list && inputs[0]?.kind === "tensors");
  assert.deepEqual(inputs[0].tensors, [
    { name: "x", dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4.5) },
    { name: "k", dtype: "int64", shape: [2], data: BigInt64Array.of(7n, -1n) },
  ]);
});

test("a NumPy file is the one input of a model", async () => {
  const { inputs } = await decode(one, npy("<f4", "(1, 2)", bytesOf(Float32Array.of(1, 2))));
  assert.ok(inputs[0]?.kind === "tensors");
  assert.deepEqual(inputs[0].tensors[0], { name: "x", dtype: "float32", shape: [1, 2], data: Float32Array.of(1, 2) });
  assert.deepEqual(readNpy(npy("<i8", "()", bytesOf(BigInt64Array.of(5n)))).shape, []);
});

test("what does not fit is told with its field", async () => {
  const refused = (tensors: Tensors, body: Uint8Array | string, message: RegExp) =>
    assert.rejects(decode(tensors, body), { code: "input/invalid", message });
  const json = (input: object) => JSON.stringify({ inputs: [input] });
  await refused(one, "{", /JSON cannot be read/);
  await refused(one, "{}", /inputs: must be an array/);
  await refused(two, json({ name: "x", shape: [1, 2], data: [1, 2] }), /inputs: has no 'k'/);
  await refused(one, json({ name: "x", shape: [1, 3], data: [1, 2, 3] }), /'x' is \[1, 3\], the model takes \[n, 2\]/);
  await refused(
    one,
    json({ name: "x", shape: [1, 2], data: [1] }),
    /inputs\[0\]\.data: has 1 numbers, the shape has 2/,
  );
  await refused(one, json({ name: "x", shape: [1, 2], data: [1, "2"] }), /inputs\[0\]\.data\[1\]: must be a number/);
  await refused(one, json({ name: "x", shape: [1e9, 2], data: [1] }), /has 1 numbers/);
  await refused(one, npy("<i8", "(1,)", bytesOf(BigInt64Array.of(5n))), /holds int64, the model takes float32/);
  await refused(one, npy(">f4", "(1,)", new Uint8Array(4)), /type is '>f4'/);
  await refused(one, npy("<f4", "(1, 2)", new Uint8Array(4)), /holds 4 bytes for shape \[1, 2\]/);
  await refused(one, npy("<f4", "(1, 2)", new Uint8Array(8), "True"), /Fortran order/);
  await refused(two, npy("<f4", "(1, 2)", new Uint8Array(8)), /has 2 inputs/);
});

test("JSON that is far larger in memory than in bytes is refused, however its bytes are called", async () => {
  const data = `[${Array.from({ length: 100_001 }, () => "[]").join(",")}]`;
  const refused = { code: "input/invalid", message: /more than 100000 lists/ } as const;
  await assert.rejects(decode(one, `{"inputs": [{"name": "x", "data": ${data}}]}`), refused);
});
