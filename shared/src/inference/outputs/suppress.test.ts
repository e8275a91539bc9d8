import assert from "node:assert/strict";
import { test } from "node:test";
import { type Candidate, suppress } from "./suppress.js";

const at = (left: number, score: number, klass = 0): Candidate => ({ edges: [left, 0, left + 10, 10], score, klass });
const options = { iouThreshold: 0.45, acrossClasses: false, maxObjects: 10 };
const scores = (kept: readonly Candidate[]) => kept.map(({ score }) => score);

test("of boxes that overlap the best stays, and hides only its own class", () => {
  // Boxes 2 apart overlap by 8 / 12, boxes 4 apart by 6 / 14, which is below the threshold.
  const candidates = [at(0, 0.5), at(2, 0.9), at(6, 0.8), at(0, 0.7, 1)];
  assert.deepEqual(scores(suppress(candidates, options)), [0.9, 0.8, 0.7]);
  assert.deepEqual(scores(suppress(candidates, { ...options, acrossClasses: true })), [0.9, 0.8]);
  assert.deepEqual(scores(suppress(candidates, { ...options, maxObjects: 1 })), [0.9]);
  assert.deepEqual(scores(suppress(candidates, { ...options, iouThreshold: 1 })), [0.9, 0.8, 0.7, 0.5]);
});

test("a hidden box hides no other", () => {
  assert.deepEqual(scores(suppress([at(0, 0.9), at(2, 0.8), at(4, 0.7)], options)), [0.9, 0.7]);
});
