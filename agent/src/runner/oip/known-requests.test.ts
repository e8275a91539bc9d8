import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensors } from "@muster/shared";
import { KnownRequests } from "./known-requests.js";

const tensors: Tensors = {
  inputs: [{ name: "x", dtype: "float32", shape: ["n", 2] }],
  outputs: [{ name: "y", dtype: "float32", shape: ["n", 2] }],
};

function reader() {
  const known = new KnownRequests({ tensors });
  let parsed = 0;
  const parse = (bytes: Buffer): unknown => {
    parsed += 1;
    return JSON.parse(bytes.toString());
  };
  const read = (request: object) => known.checked(Buffer.from(JSON.stringify(request)), parse);
  return { known, read, parsed: () => parsed };
}

const binary = (rows: number) => ({
  inputs: [{ name: "x", shape: [rows, 2], datatype: "FP32", parameters: { binary_data_size: rows * 8 } }],
});

test("the same words are read once, others are read and checked each time", () => {
  const { read, parsed } = reader();
  assert.deepEqual(read(binary(1)), read(binary(1)));
  assert.equal(parsed(), 1);
  assert.deepEqual(read(binary(2)).inputs[0]?.shape, [2, 2]);
  for (let at = 0; at < 2; at += 1) {
    assert.throws(() => read({ inputs: [{ ...binary(1).inputs[0], datatype: "INT8" }] }), { code: "tensor/invalid" });
  }
  assert.equal(parsed(), 4);
});

test("requests that do not come again are not kept, and never more than a few", () => {
  const { known, read } = reader();
  read({ ...binary(1), id: "42" });
  read({ inputs: [{ name: "x", shape: [1, 2], datatype: "FP32", data: [1, 2] }] });
  read({ ...binary(1), parameters: { unknown: "x".repeat(5000) } });
  assert.equal(known.size, 0);
  for (let rows = 1; rows <= 64; rows += 1) read(binary(rows));
  assert.ok(known.size <= 16 && known.size > 0);
});
