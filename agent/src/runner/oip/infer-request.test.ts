import assert from "node:assert/strict";
import { test } from "node:test";
import { DataType, MusterError, type Tensors } from "@muster/shared";
import { newTensorData, type TensorData } from "@muster/shared/inference";
import { Buffers } from "../buffers.js";
import { Body } from "../http/body.js";
import { datatypes } from "./datatypes.js";
import { isInferRequest, maxRows, readInferRequest } from "./infer-request.js";
import { inferResponse } from "./infer-response.js";
import { headerWishes } from "./wishes.js";

/** One input and one output of every type there is, `[n, 2]`, and a mask `[m]` whose size is free. */
const columns = DataType.options.map((dtype) => ({
  name: `in-${dtype}`,
  dtype,
  shape: ["n", 2] as (string | number)[],
}));
const tensors: Tensors = {
  inputs: [...columns, { name: "mask", dtype: "bool", shape: ["m"] }],
  outputs: columns.map(({ dtype, shape }) => ({ name: `out-${dtype}`, dtype, shape })),
};
const one: Tensors = {
  inputs: [{ name: "x", dtype: "float32", shape: ["n", 2] }],
  outputs: [{ name: "y", dtype: "float32", shape: ["n", 2] }],
};
const nothing = new Body([], new Buffers()).tail(0);
const x = { name: "x", shape: [1, 2], datatype: "FP32", data: [1, 2] };

/** Values that are exact in every type. */
function example(dtype: DataType, length: number): TensorData {
  const data = newTensorData(dtype, length) as unknown as (number | bigint)[];
  for (let at = 0; at < length; at += 1) {
    // The bits of 1 in half precision are 0x3c00.
    data[at] =
      dtype === "float16" ? (at % 2) * 0x3c00 : dtype.endsWith("64") && dtype !== "float64" ? BigInt(at % 2) : at % 2;
  }
  return data as unknown as TensorData;
}

/** What a request is refused with. */
function refusal(body: unknown, spec = one, tail = nothing): MusterError {
  try {
    readInferRequest(body, tail, { tensors: spec });
  } catch (error) {
    if (error instanceof MusterError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "the request was taken" });
}

test("tensors of every type come through as JSON, flat or nested, and as binary data, side by side", () => {
  const parts: Uint8Array[] = [];
  const inputs = columns.map(({ name, dtype }, at) => {
    const [data, head] = [example(dtype, 4), { name, shape: [2, 2], datatype: datatypes[dtype] }];
    if (at % 3 === 2) {
      parts.push(new Uint8Array(data.buffer));
      return { ...head, parameters: { binary_data_size: data.byteLength } };
    }
    return {
      ...head,
      data:
        at % 3 === 0
          ? [0, 1, 0, 1]
          : [
              [0, 1],
              [0, 1],
            ],
    };
  });
  const mask = { name: "mask", shape: [3], datatype: "BOOL", data: [true, false, 1] };
  const json = Buffer.from(JSON.stringify({ id: "7", inputs: [mask, ...inputs] }));
  // In pieces as they may come from the network, cut across numbers.
  const whole = Buffer.concat([json, ...parts]);
  const pieces = Array.from({ length: Math.ceil(whole.length / 7) }, (_, at) => whole.subarray(at * 7, at * 7 + 7));
  const body = new Body(pieces, new Buffers());
  const request = readInferRequest(JSON.parse(body.head(json.length).toString()), body.tail(json.length), { tensors });
  assert.equal(request.id, "7");
  const [first, ...others] = request.inputs;
  assert.deepEqual([first?.name, Array.from((first?.data ?? []) as Uint8Array)], ["mask", [1, 0, 1]]);
  for (const [at, { name, dtype }] of columns.entries()) {
    assert.deepEqual(others[at], { name, dtype, shape: [2, 2], data: example(dtype, 4) });
  }
});

test("outputs are answered in the order asked for, as JSON or as binary data, each as it was asked for", () => {
  const given = tensors.outputs.map(({ name, dtype }) => ({ name, dtype, shape: [1, 2], data: example(dtype, 2) }));
  const model = { model: "m", version: "1.0.0" };
  for (const { name, dtype } of tensors.outputs) {
    const outputs = [
      { name, binary: false },
      { name, binary: true },
    ];
    const { json, binary } = inferResponse(model, { id: "a", outputs }, given);
    const answer = JSON.parse(json) as { outputs: Record<string, unknown>[] };
    const expected = { name, datatype: datatypes[dtype], shape: [1, 2] };
    const size = example(dtype, 2).byteLength;
    assert.deepEqual(answer, {
      ...{ model_name: "m", model_version: "1.0.0", id: "a" },
      outputs: [
        { ...expected, data: dtype === "bool" ? [false, true] : [0, 1] },
        { ...expected, parameters: { binary_data_size: size } },
      ],
    });
    assert.deepEqual(binary, [new Uint8Array(example(dtype, 2).buffer)]);
  }
});

test("numbers that JSON has no word for, or that doubles do not hold, do not break an answer", () => {
  const big = BigInt64Array.from([2n ** 62n, -1n]);
  const odd = Float32Array.from([Number.NaN, Number.POSITIVE_INFINITY]);
  const given = [
    { name: "i", dtype: "int64", shape: [2], data: big },
    { name: "f", dtype: "float32", shape: [2], data: odd },
  ] as const;
  const outputs = given.map(({ name }) => ({ name, binary: false }));
  const { json } = inferResponse({ model: "m", version: "1.0.0" }, { id: undefined, outputs }, given);
  assert.match(json, /"data":\[4611686018427387904,-1\]/);
  assert.match(json, /"data":\[null,null\]/);
});

test("without a list of outputs all are asked for, binary when the request says so", () => {
  const read = (changes: object) => readInferRequest({ inputs: [x], ...changes }, nothing, { tensors: one }).outputs;
  assert.deepEqual(read({}), [{ name: "y", binary: false }]);
  assert.deepEqual(read({ parameters: { binary_data_output: true } }), [{ name: "y", binary: true }]);
  const outputs = [{ name: "y", parameters: { binary_data: false } }];
  assert.deepEqual(read({ outputs, parameters: { binary_data_output: true } }), [{ name: "y", binary: false }]);
});

test("what does not fit is refused with every field that does not", () => {
  const many = refusal({ inputs: [{ ...x, name: "z", datatype: "INT8" }], outputs: [{ name: "w" }] });
  assert.deepEqual(
    many.problems.map(({ field }) => field),
    ["inputs[0].name", "inputs", "outputs[0].name"],
  );
  const cases: [object, RegExp][] = [
    [{ inputs: [x, x] }, /inputs\[1\]\.name: x is inputs\[0\] already/],
    [{ inputs: [{ ...x, datatype: "BYTES" }] }, /datatype: is BYTES, expected FP32/],
    [{ inputs: [{ ...x, shape: [1, 3] }] }, /shape: is \[1, 3\], expected \[n, 2\]/],
    [{ inputs: [{ ...x, shape: [maxRows + 1, 2] }] }, /at most 64/],
    [{ inputs: [{ ...x, data: [1, 2, 3] }] }, /has 3 numbers, expected 2/],
    [{ inputs: [{ ...x, data: [[1], 2] }] }, /mixes numbers and lists/],
    [{ inputs: [{ ...x, data: [1, null] }] }, /has null at 1, which is no float32/],
    [{ inputs: [{ ...x, data: undefined }] }, /data: is missing/],
    [{ inputs: [{ ...x, parameters: { binary_data_size: 8 } }] }, /send one of them/],
    [{ inputs: [{ ...x, data: undefined, parameters: { binary_data_size: 4 } }] }, /has 4 bytes .* expected 8/],
    [{ inputs: [{ ...x, data: undefined, parameters: { binary_data_size: 8 } }] }, /body is cut off/],
    [{ inputs: [{ ...x, shape: [1e9, 1e9, 1e9] }] }, /expected \[n, 2\]/],
  ];
  for (const [body, message] of cases) assert.match(refusal(body).message, message);
  const depth = 100_000;
  const deep = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as unknown[];
  assert.match(refusal({ inputs: [{ ...x, data: deep }] }).message, /nested more than 8 deep/);
});

test("whole numbers have to be whole and within their type", () => {
  const spec = (dtype: DataType): Tensors => ({ ...one, inputs: [{ name: "x", dtype, shape: ["n", 2] }] });
  const refused: [DataType, unknown][] = [
    ["uint8", 256],
    ["uint8", -1],
    ["int8", 128],
    ["int32", 1.5],
    ["int64", 2 ** 60],
    ["uint64", -1],
    ["bool", 2],
    ["float16", 65_520],
    ["float32", 1e39],
    ["float64", "1"],
  ];
  for (const [dtype, value] of refused) {
    const input = { name: "x", shape: [1, 2], datatype: datatypes[dtype], data: [0, value] };
    assert.match(refusal({ inputs: [input] }, spec(dtype)).message, /at 1, which is no/, `${dtype} ${value}`);
  }
});

test("free sizes of one name have to agree, and binary data has to be all used", () => {
  const two: Tensors = { ...one, inputs: [...one.inputs, { name: "z", dtype: "bool", shape: ["n"] }] };
  const z = { name: "z", shape: [2], datatype: "BOOL", data: [true, true] };
  assert.match(refusal({ inputs: [x, z] }, two).message, /inputs\[1\]\.shape\[0\]: has 2 for n, which is 1/);
  const tail = new Body([Buffer.alloc(9)], new Buffers()).tail(0);
  const binary = { ...x, data: undefined, parameters: { binary_data_size: 8 } };
  assert.match(refusal({ inputs: [binary] }, one, tail).message, /name 8 bytes of binary data in all, but 9 came/);
  const bools: Tensors = { ...one, inputs: [{ name: "x", dtype: "bool", shape: ["n", 2] }] };
  const nine = { ...binary, datatype: "BOOL", parameters: { binary_data_size: 2 } };
  const seven = new Body([Buffer.from([1, 7])], new Buffers()).tail(0);
  assert.match(refusal({ inputs: [nine] }, bools, seven).message, /neither 0 nor 1/);
});

test("priority and time are read from parameters as Triton's clients send them, and from headers", () => {
  const read = (parameters: object) => readInferRequest({ inputs: [x], parameters }, nothing, { tensors: one }).wishes;
  assert.deepEqual(read({ priority: 0, timeout: 0 }), { priority: undefined, timeoutMs: undefined });
  assert.deepEqual(read({ priority: 1, timeout: 250_000 }), { priority: "high", timeoutMs: 250 });
  assert.deepEqual(read({ priority: 9 }).priority, "low");
  assert.deepEqual(read({ priority: "normal" }).priority, "normal");
  assert.deepEqual(headerWishes({ "muster-priority": "low", "muster-timeout-ms": "1500" }), {
    ...{ priority: "low", timeoutMs: 1500 },
  });
  assert.match(
    refusal({ inputs: [x], parameters: { priority: "soon" } }).message,
    /parameters\.priority: must be one of/,
  );
  assert.match(refusal({ inputs: [x], parameters: { timeout: -1 } }).message, /parameters\.timeout: must be a time/);
  assert.throws(() => headerWishes({ "muster-timeout-ms": "soon" }), { code: "request/invalid" });
});

test("a JSON body of this protocol is told from rows for a pipeline", () => {
  assert.equal(isInferRequest({ inputs: [x] }), true);
  assert.equal(isInferRequest({ inputs: [] }), true);
  for (const rows of [[], [{ a: 1 }], { inputs: [{ a: 1 }] }, { rows: [] }, null, 7]) {
    assert.equal(isInferRequest(rows), false, JSON.stringify(rows));
  }
});
