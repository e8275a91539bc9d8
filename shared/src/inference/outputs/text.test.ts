import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "./text.js";

/** Rows with the best class of each step at 0.7 and the rest at 0.1. */
const steps = (best: readonly number[], classes: number) =>
  Float32Array.from(best.flatMap((one) => Array.from({ length: classes }, (_, at) => (at === one ? 0.7 : 0.1))));
const letters = ["c", "a", "t"];

test("repetitions are joined and blanks dropped, a blank between two keeps both", () => {
  // Blank 0, c 1, a 2, t 3.
  const read = (best: number[]) => readText(steps(best, 4), letters, { blank: "first", softmax: false });
  assert.equal(read([0, 1, 1, 0, 2, 3, 3, 0]).text, "cat");
  assert.equal(read([2, 0, 2, 2, 0, 0, 3]).text, "aat");
  assert.deepEqual(read([0, 0, 0]), { text: "", confidence: 0 });
  assert.ok(Math.abs(read([1, 2, 3]).confidence - 0.7) < 1e-6);
});

test("the blank may be the last class, and logits become shares", () => {
  const { text, confidence } = readText(steps([0, 3, 1, 2], 4), letters, { blank: "last", softmax: true });
  assert.equal(text, "cat");
  // e^0.7 / (e^0.7 + 3 e^0.1)
  assert.ok(Math.abs(confidence - Math.exp(0.7) / (Math.exp(0.7) + 3 * Math.exp(0.1))) < 1e-6);
});
