import assert from "node:assert/strict";
import { test } from "node:test";
import {
  floatsOf,
  floatToHalf,
  halfToFloat,
  type NamedTensor,
  ownTensor,
  rowsOf,
  stackTensors,
} from "./named-tensor.js";

const tensor = (numbers: number[], shape: number[]): NamedTensor => ({
  name: "x",
  dtype: "float32",
  shape,
  data: Float32Array.from(numbers),
});

test("tensors are stacked along their first dimension and come apart again without a copy", () => {
  const both = stackTensors([tensor([1, 2, 3, 4], [2, 2]), tensor([5, 6], [1, 2])]);
  assert.deepEqual(
    [both.shape, Array.from(both.data as Float32Array)],
    [
      [3, 2],
      [1, 2, 3, 4, 5, 6],
    ],
  );
  const last = rowsOf(both, 2, 3);
  assert.deepEqual(
    [last.shape, Array.from(last.data as Float32Array)],
    [
      [1, 2],
      [5, 6],
    ],
  );
  assert.equal(last.data.buffer, both.data.buffer);
  assert.equal(ownTensor(last).data.buffer.byteLength, 8);
});

test("half precision bits are those of IEEE 754", () => {
  // Values and bits from the standard's tables: one, the largest, the smallest normal and subnormal, infinities.
  const pairs: [number, number][] = [
    [0, 0x0000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [1023 * 2 ** -24, 0x03ff],
    [0.333251953125, 0x3555],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
  ];
  for (const [value, bits] of pairs) assert.deepEqual([halfToFloat(bits), floatToHalf(value)], [value, bits]);
  assert.equal(floatToHalf(1 + 2 ** -11), 0x3c00, "a tie goes to the even one");
  assert.equal(floatToHalf(1 + 3 * 2 ** -11), 0x3c02);
  assert.equal(floatToHalf(65520), 0x7c00);
  assert.equal(floatToHalf(2047.9), 0x6800, "a carry goes into the exponent");
  assert.ok(Number.isNaN(halfToFloat(floatToHalf(Number.NaN))));
  for (let bits = 0; bits < 0x7c00; bits += 1) assert.equal(floatToHalf(halfToFloat(bits)), bits);
});

test("numbers of any type are read as floats", () => {
  const half: NamedTensor = { name: "h", dtype: "float16", shape: [2], data: Uint16Array.of(0x3c00, 0xc000) };
  const long: NamedTensor = { name: "l", dtype: "int64", shape: [2], data: BigInt64Array.of(7n, -1n) };
  assert.deepEqual(Array.from(floatsOf([half, long], "h")), [1, -2]);
  assert.deepEqual(Array.from(floatsOf([half, long], "l")), [7, -1]);
  assert.throws(() => floatsOf([half], "x"), { code: "tensor/invalid", message: /no output 'x'/ });
});
