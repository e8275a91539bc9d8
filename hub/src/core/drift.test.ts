import assert from "node:assert/strict";
import { test } from "node:test";
import { binOf, continuousFeature } from "@muster/shared";
import { measureDrift, minDriftInputs } from "./drift.js";

let state = 7;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
const normal = (mean: number) => mean + Array.from({ length: 12 }, random).reduce((a, b) => a + b, -6);
const brightness = continuousFeature(
  Array.from({ length: 300 }, () => normal(0)),
  10,
);
const sharpness = continuousFeature(
  Array.from({ length: 300 }, () => normal(0)),
  10,
);
const countsOf = (n: number, mean: number) => {
  const counts = new Array<number>(10).fill(0);
  for (let at = 0; at < n; at += 1) {
    const bin = binOf(brightness, normal(mean));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
};

test("a shifted feature drifts and stands first, the others stay quiet", () => {
  const rows = measureDrift({ sharpness, brightness }, { brightness: countsOf(200, -2), sharpness: countsOf(200, 0) });
  assert.equal(rows[0]?.feature, "brightness");
  assert.deepEqual(
    rows.map(({ drifting }) => drifting),
    [true, false],
  );
});

test("inputs like the reference do not drift, few or many", () => {
  for (const n of [30, 100, 1000, 10_000]) {
    for (let round = 0; round < 20; round += 1) {
      const [row] = measureDrift({ brightness }, { brightness: countsOf(n, 0) });
      assert.equal(row?.drifting, false, `psi ${row?.psi} over ${row?.threshold} with ${n} inputs`);
    }
  }
});

test("with too few inputs nothing is said", () => {
  const [row] = measureDrift({ brightness }, { brightness: countsOf(minDriftInputs - 1, 5) });
  assert.deepEqual(row, { feature: "brightness", psi: 0, threshold: undefined, drifting: false });
  assert.equal(measureDrift({ brightness }, {})[0]?.threshold, undefined);
});
