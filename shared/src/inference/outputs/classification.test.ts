import assert from "node:assert/strict";
import { test } from "node:test";
import { ClassificationPostprocess } from "../../model/postprocess/classification.js";
import { classificationFault, classify } from "./classification.js";

const spec = (more: object = {}) => ClassificationPostprocess.parse({ labels: ["ok", "scratch", "dent"], ...more });
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual}, expected ${expected}`);

test("the class with the highest score is the answer", () => {
  const answer = classify(Float32Array.of(0.25, 0.5, 0.125), spec({ topK: 2 }));
  assert.equal(answer.label, "scratch");
  assert.equal(answer.confidence, 0.5);
  assert.deepEqual(answer.classes, [
    { label: "scratch", confidence: 0.5 },
    { label: "ok", confidence: 0.25 },
  ]);
  assert.deepEqual(answer.scores, [0.25, 0.5, 0.125]);
});

test("of equal scores the first label wins, and no more classes are listed than there are", () => {
  const answer = classify([0.5, 0.5, 0], spec({ topK: 50 }));
  assert.deepEqual(
    answer.classes.map(({ label }) => label),
    ["ok", "scratch", "dent"],
  );
});

test("softmax turns logits into shares that add up to one, however large they are", () => {
  const { scores } = classify([1, 2, 3], spec({ softmax: true }));
  near(scores[0] ?? 0, 0.09003057);
  near(scores[2] ?? 0, 0.66524096);
  for (const logits of [
    [1000, 999, 0],
    [-1000, -1001, -5000],
    [0, 0, 0],
  ]) {
    const answer = classify(logits, spec({ softmax: true }));
    near(
      answer.scores.reduce((a, b) => a + b),
      1,
    );
    assert.equal(answer.label, "ok");
  }
});

test("an output that is no number is a broken model, wherever it stands", () => {
  for (const softmax of [false, true]) {
    for (const row of [
      [Number.NaN, 1, 0],
      [0, 1, Number.NaN],
      [Number.POSITIVE_INFINITY, 0, 0],
    ]) {
      assert.throws(() => classify(row, spec({ softmax })), { code: "engine/failed", message: /not a number/ });
    }
  }
});

test("an output with another number of classes than labels is refused", () => {
  for (const row of [[], [1, 0], [1, 0, 0, 0]]) {
    assert.throws(() => classify(row, spec()), { code: "tensor/invalid", message: /the pipeline names 3/ });
  }
});

test("a self-test passes within the tolerance and says what is off beyond it", () => {
  const answer = classify([0.9, 0.06, 0.04], spec());
  const fault = (sample: { label: string; scores?: number[] }, tolerance = 0.05) =>
    classificationFault(answer, sample, tolerance);
  assert.equal(fault({ label: "ok" }), undefined);
  assert.equal(fault({ label: "ok", scores: [0.86, 0.1, 0.04] }), undefined);
  assert.equal(fault({ label: "dent" }), "expected 'dent', got 'ok' with confidence 0.900");
  assert.equal(fault({ label: "ok", scores: [0.9, 0.16, 0.04] }), "score 1 is 0.0600, expected 0.1600 ± 0.05");
  assert.match(fault({ label: "ok", scores: [0.9, 0.06, 0.04, 0] }) ?? "", /score 3/);
  assert.match(fault({ label: "ok", scores: [Number.NaN, 0, 0] }) ?? "", /score 0/);
});
