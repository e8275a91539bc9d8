import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensors } from "../model/tensors.js";
import type { Answer } from "./answer.js";
import type { DecodedInput } from "./decoded-input.js";
import { floatsOf, type NamedTensor } from "./named-tensor.js";
import type { Pipeline } from "./pipeline.js";
import { hasFreeBatch, runInputs } from "./pipeline-run.js";

const spec = (name: string, shape: (string | number)[]) => ({ name, dtype: "float32" as const, shape });
const free: Tensors = { inputs: [spec("x", ["n", 2])], outputs: [spec("y", ["n", 1])] };
const x = (numbers: number[]): NamedTensor => {
  return { name: "x", dtype: "float32", shape: [1, numbers.length], data: Float32Array.from(numbers) };
};

/** A session that adds up each row, and the state when there is one. */
function adder() {
  const batches: number[] = [];
  const run = async (inputs: readonly NamedTensor[]): Promise<NamedTensor[]> => {
    const data = floatsOf(inputs, "x");
    const rows = inputs[0]?.shape[0] ?? 0;
    batches.push(rows);
    const state = inputs.find(({ name }) => name === "s")?.data[0] ?? 0;
    const width = data.length / rows;
    const sums = Float32Array.from({ length: rows }, (_, row) =>
      data.subarray(row * width, (row + 1) * width).reduce((a, b) => a + b, Number(state)),
    );
    const total = { name: "t", dtype: "float32" as const, shape: [1], data: sums.slice(0, 1) };
    return [{ name: "y", dtype: "float32", shape: [rows, 1], data: sums }, total];
  };
  return { batches, run };
}

/** Inputs hold their runs; an answer lists the first number of each run's output. */
function pipeline(states: Pipeline["states"] = []): Pipeline {
  return {
    ...{ accepts: [], decodesInPlace: false, outputFeatures: [] },
    ...{ states, blank: () => input([0, 0]), baselineOf: () => ({}) },
    decode: async () => ({ inputs: [], list: false }),
    toRuns: (given) => (given.kind === "tensors" ? given.tensors.map((tensor) => [tensor]) : []),
    read: (outputs) => ({
      answer: outputs.map((one) => floatsOf(one, "y")[0]) as unknown as Answer,
      features: () => ({}),
      fault: () => undefined,
    }),
  };
}
const input = (...runs: number[][]): DecodedInput => ({ kind: "tensors", tensors: runs.map(x) });
const answers = async (tensors: Tensors, inputs: DecodedInput[], one = pipeline()) => {
  const session = adder();
  const { readings } = await runInputs(session, one, tensors, inputs);
  return { answers: readings.map(({ answer }) => answer as unknown), batches: session.batches };
};

test("inputs share one run where the batch dimension is free, and each gets its own row", async () => {
  const both = await answers(free, [input([1, 2]), input([10, 20]), input([5, 5])]);
  assert.deepEqual(both, { answers: [[3], [30], [10]], batches: [3] });
});

test("inputs run one by one where the batch is fixed, or they have different shapes", async () => {
  const fixed = { ...free, inputs: [spec("x", [1, 2])] };
  assert.deepEqual((await answers(fixed, [input([1, 2]), input([3, 4])])).batches, [1, 1]);
  const wide = await answers({ ...free, inputs: [spec("x", ["n", "w"])] }, [input([1, 2]), input([1, 2, 3])]);
  assert.deepEqual(wide, { answers: [[3], [6]], batches: [1, 1] });
});

test("a state goes from run to run of one input and begins anew with the next", async () => {
  const tensors: Tensors = { inputs: [spec("x", ["n", 2]), spec("s", ["k"])], outputs: [spec("y", ["n", 1])] };
  const stateful = pipeline([{ input: "s", output: "t" }]);
  const result = await answers(tensors, [input([1, 1], [2, 2], [3, 3]), input([1, 0])], stateful);
  assert.deepEqual(result.answers, [[2, 6, 12], [1]]);
});

test("a batch is free only when its dimension has the same name everywhere", () => {
  assert.ok(hasFreeBatch(free));
  assert.ok(!hasFreeBatch({ ...free, outputs: [spec("boxes", ["found", 7])] }));
  assert.ok(!hasFreeBatch({ ...free, inputs: [spec("x", [1, 2])] }));
});

test("inputs of several rows share no run, in which one would get a row of the other", async () => {
  const rows = (...numbers: number[]): DecodedInput => {
    const tensor: NamedTensor = { name: "x", dtype: "float32", shape: [2, 2], data: Float32Array.from(numbers) };
    return { kind: "tensors", tensors: [tensor] };
  };
  const both = await answers(free, [rows(1, 2, 3, 4), rows(10, 20, 30, 40)]);
  assert.deepEqual(both, { answers: [[3], [30]], batches: [2, 2] });
});
