import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../testing/seeded-random.js";
import { addCounts, binCount, binOf, categoricalFeature, continuousFeature, Feature } from "./histogram.js";

test("the bins of a continuous feature hold equal shares of the reference", () => {
  const random = seededRandom(3);
  for (const bins of [4, 10, 64]) {
    const values = Array.from({ length: 1000 }, () => random() ** 3);
    const feature = continuousFeature(values, bins);
    assert.equal(binCount(feature), bins);
    assert.equal(
      feature.counts.reduce((a, b) => a + b),
      values.length,
    );
    for (const count of feature.counts) assert.ok(Math.abs(count - 1000 / bins) <= 1, `${count}`);
    assert.deepEqual(Feature.parse(JSON.parse(JSON.stringify(feature))), feature);
  }
});

test("a value lies in the bin from its lower edge up to, and without, its upper edge", () => {
  const feature: Feature = { kind: "continuous", edges: [1, 2, 5], counts: [0, 0, 0, 0] };
  assert.deepEqual(
    [-9, 0.99, 1, 1.5, 2, 4.99, 5, 1e9].map((value) => binOf(feature, value)),
    [0, 0, 1, 1, 2, 2, 3, 3],
  );
});

test("equal values share an edge, so there are fewer bins", () => {
  const feature = continuousFeature([...new Array<number>(90).fill(1), ...new Array<number>(10).fill(2)], 10);
  assert.deepEqual(feature, { kind: "continuous", edges: [1, 2], counts: [0, 90, 10] });
  assert.deepEqual(continuousFeature([7, 7, 7], 10), { kind: "continuous", edges: [7], counts: [0, 3] });
});

test("a feature without reference values is refused", () => {
  assert.throws(() => continuousFeature([], 10), RangeError);
});

test("a category has its bin, and what is none of them has the last", () => {
  const feature = categoricalFeature(["a", "b", "a", "x"], ["a", "b", "c"]);
  assert.deepEqual(feature.counts, [2, 1, 0, 1]);
  assert.equal(binCount(feature), 4);
  assert.deepEqual([binOf(feature, "b"), binOf(feature, "y"), binOf(feature, 7)], [1, 3, 3]);
});

test("counts are added bin by bin, whatever their lengths", () => {
  assert.deepEqual(addCounts([1, 2], [10, 20, 30]), [11, 22, 30]);
  assert.deepEqual(addCounts([], [1]), [1]);
});
