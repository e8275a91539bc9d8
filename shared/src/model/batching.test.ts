import assert from "node:assert/strict";
import { test } from "node:test";
import { Batching, batchingProblems } from "./batching.js";
import type { Tensors } from "./tensors.js";

const tensors = (first: number | string): Tensors => ({
  inputs: [{ name: "x", dtype: "float32", shape: [first, 2] }],
  outputs: [{ name: "y", dtype: "float32", shape: [first, 1] }],
});
const fields = (...[bundle]: Parameters<typeof batchingProblems>) =>
  batchingProblems(bundle).map(({ field, message }) => `${field}: ${message}`);
const plain = { tensors: tensors("n"), budgets: {}, preprocess: {} };

test("a bundle that says nothing of batching, or what its model can do, has no problem", () => {
  assert.deepEqual(fields({ ...plain, tensors: tensors(1) }), []);
  const batching = Batching.parse({ maxRows: 16 });
  assert.equal(batching.maxDelayMs, 0);
  assert.deepEqual(fields({ ...plain, batching }), []);
  assert.deepEqual(fields({ ...plain, tensors: tensors(1), batching: Batching.parse({ maxRows: 1 }) }), []);
});

test("shared runs need a free batch, no states, and less delay than the latency that is promised", () => {
  const batching = { maxRows: 4, maxDelayMs: 20 };
  assert.match(fields({ ...plain, batching, tensors: tensors(1) })[0] ?? "", /^batching\.maxRows: needs a free batch/);
  const preprocess = { states: [{}] };
  assert.match(fields({ ...plain, batching, preprocess })[0] ?? "", /^batching\.maxRows: a model with states/);
  const budgets = { p95LatencyMs: 20 };
  assert.match(fields({ ...plain, batching, budgets })[0] ?? "", /^batching\.maxDelayMs: is all of .*, 20; wait less/);
  assert.equal(Batching.safeParse({ maxRows: 4, maxDelayMs: -1 }).success, false);
  assert.equal(Batching.safeParse({ maxRows: 0 }).success, false);
  assert.equal(Batching.safeParse({ maxRows: 4, rows: 4 }).success, false);
});
