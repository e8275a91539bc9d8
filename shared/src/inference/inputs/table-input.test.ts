import assert from "node:assert/strict";
import { test } from "node:test";
import { TablePreprocess } from "../../model/preprocess/table.js";
import type { Tensors } from "../../model/tensors.js";
import type { NamedTensor } from "../named-tensor.js";
import { tableInput } from "./table-input.js";

const numbers = (tensor: NamedTensor | undefined) => Array.from(tensor?.data as Float32Array, Number);
const tensors = (...inputs: [name: string, dtype: "float32" | "int64", shape: (number | string)[]][]): Tensors => ({
  inputs: inputs.map(([name, dtype, shape]) => ({ name, dtype, shape })),
  outputs: [{ name: "y", dtype: "float32", shape: ["n", 1] }],
});
const machine = TablePreprocess.parse({
  decode: "table",
  columns: [
    { name: "temperature", mean: 20, std: 5 },
    { name: "pressure", min: 1, max: 3, missing: 2 },
    { name: "kind", categories: ["a", "b", "c"], oneHot: true, missing: "b" },
  ],
});
const side = tableInput(machine, tensors(["x", "float32", ["n", 5]]));
const runsOf = async (body: string, one = side) => {
  const { inputs, list } = await one.decode(Buffer.from(body));
  return { list, runs: inputs.map((input) => one.toRuns(input)[0] ?? []), inputs };
};

test("rows become scaled numbers and one number per category, from CSV and from JSON alike", async () => {
  const csv = await runsOf("kind,extra,temperature,pressure\nc,1,25,3\n,2,10,\n");
  assert.ok(csv.list);
  assert.deepEqual(
    csv.runs.map(([x]) => numbers(x)),
    [
      [1, 1, 0, 0, 1],
      [-2, 0.5, 0, 1, 0],
    ],
  );
  assert.deepEqual(csv.runs[0]?.[0]?.shape, [1, 5]);
  const object = await runsOf('{"temperature": 25, "pressure": 3, "kind": "c"}');
  assert.deepEqual([object.list, numbers(object.runs[0]?.[0])], [false, [1, 1, 0, 0, 1]]);
  const array = await runsOf('[[25, 3, "c"], {"temperature": 10}]');
  assert.deepEqual(
    array.runs.map(([x]) => numbers(x)),
    csv.runs.map(([x]) => numbers(x)),
  );
  assert.deepEqual(side.features(csv.inputs[1] ?? side.blank()), {
    "column.temperature": 10,
    "column.pressure": 2,
    "column.kind": "b",
  });
});

test("what is missing, no number or no category is told with its row and column", async () => {
  const refused = (body: string, message: RegExp) =>
    assert.rejects(side.decode(Buffer.from(body)), { code: "input/invalid", message });
  await refused("pressure,kind\n1,a", /no column 'temperature'/);
  await refused("temperature\n1\nx", /column 'temperature' of row 2 is "x", expected a number/);
  await refused("temperature\n ", /column 'temperature' of row 1 is missing/);
  await refused('[{"temperature": 1}, 5]', /row 2 must be an object/);
  await refused('[{"temperature": true}, {"temperature": null}]', /row 2 is missing/);
  await refused("[", /JSON cannot be read/);
  await refused("[]", /no rows/);
  const strict = TablePreprocess.parse({ decode: "table", columns: [{ name: "kind", categories: ["a", "b"] }] });
  const one = tableInput(strict, tensors(["x", "float32", ["n", 1]]));
  await assert.rejects(one.decode(Buffer.from("kind\nz")), { message: /is 'z', which is none of a, b/ });
});

test("each input of the model gets its own columns in its own type", async () => {
  const spec = TablePreprocess.parse({
    decode: "table",
    columns: [
      { name: "amount", input: "floats" },
      { name: "kind", input: "codes", categories: ["a", "b"] },
    ],
  });
  const one = tableInput(spec, tensors(["codes", "int64", ["n", 1]], ["floats", "float32", ["n", 1]]));
  const [run = []] = (await runsOf("amount,kind\n1.5,b", one)).runs;
  assert.deepEqual(
    run.map(({ name, dtype }) => [name, dtype]),
    [
      ["codes", "int64"],
      ["floats", "float32"],
    ],
  );
  assert.deepEqual(run.map(numbers), [[1], [1.5]]);
});

test("a series is cut into windows by its stride, rows or columns first", async () => {
  const columns = [{ name: "a" }, { name: "b", missing: "nan" }];
  const body = "a,b\n0,10\n1,11\n2,12\n3,13\n4,\n";
  const windows = async (layout: string, shape: (number | string)[]) => {
    const spec = TablePreprocess.parse({ decode: "table", columns, window: { rows: 3, stride: 2, layout } });
    return runsOf(body, tableInput(spec, tensors(["x", "float32", shape])));
  };
  const rows = await windows("rows-first", ["n", 3, 2]);
  assert.deepEqual(
    rows.runs.map(([x]) => [x?.shape, numbers(x)]),
    [
      [
        [1, 3, 2],
        [0, 10, 1, 11, 2, 12],
      ],
      [
        [1, 3, 2],
        [2, 12, 3, 13, 4, Number.NaN],
      ],
    ],
  );
  const turned = await windows("columns-first", ["n", 2, 3]);
  assert.deepEqual(
    [turned.runs[0]?.[0]?.shape, numbers(turned.runs[0]?.[0])],
    [
      [1, 2, 3],
      [0, 1, 2, 10, 11, 12],
    ],
  );
  const spec = TablePreprocess.parse({ decode: "table", columns, window: { rows: 6, stride: 1 } });
  const short = tableInput(spec, tensors(["x", "float32", ["n", 6, 2]]));
  await assert.rejects(short.decode(Buffer.from(body)), { message: /has 5 rows, the model looks at 6/ });
  const features = short.features({ kind: "rows", data: Float64Array.of(1, 2, 3, Number.NaN), rows: 2 });
  assert.deepEqual(features, { "column.a": 2 });
});

test("what would fill the memory is refused", async () => {
  const columns = Array.from({ length: 100 }, (_, at) => ({ name: `c${at}`, missing: 0 }));
  const refused = (spec: object, body: string, message: RegExp) => {
    const one = tableInput(
      TablePreprocess.parse({ decode: "table", columns, ...spec }),
      tensors(["x", "float32", ["n"]]),
    );
    return assert.rejects(one.decode(Buffer.from(body)), { code: "input/too-large", message });
  };
  await refused({}, `[${"{},".repeat(40_000)}{}]`, /40001 rows, at most 40000/);
  await refused({}, `[${"{},".repeat(2000)}{}]`, /makes 2001 inputs/);
  await refused({ window: { rows: 1000, stride: 1 } }, `[${"{},".repeat(1040)}{}]`, /makes 42 inputs of 1000 rows/);
});

test("JSON that is far larger in memory than in bytes is refused, however its bytes are called", async () => {
  const rows = `[${Array.from({ length: 100_001 }, () => "[]").join(",")}]`;
  await assert.rejects(side.decode(Buffer.from(rows)), { code: "input/invalid", message: /more than 100000 lists/ });
  const few = `[${Array.from({ length: 3 }, () => '{"temperature": 1}').join(",")}]${" ".repeat(100_000)}`;
  assert.equal((await side.decode(Buffer.from(few))).inputs.length, 3);
});
