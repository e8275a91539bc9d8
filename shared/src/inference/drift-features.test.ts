import assert from "node:assert/strict";
import { test } from "node:test";
import { Feature } from "../stats/histogram.js";
import { seededRandom } from "../testing/seeded-random.js";
import { baselineOf, featureValues } from "./drift-features.js";

test("a baseline has a distribution for every feature of the pictures and of the answers", () => {
  const random = seededRandom(8);
  const values = Array.from({ length: 200 }, (_, at) =>
    featureValues(
      { brightness: random(), contrast: random(), sharpness: random(), saturation: random() },
      { label: at % 4 === 0 ? "bad" : "ok", confidence: random(), classes: [], scores: [] },
    ),
  );
  const baseline = baselineOf(values, ["ok", "bad"], 10);
  assert.deepEqual(Object.keys(baseline).sort(), [
    "brightness",
    "class",
    "confidence",
    "contrast",
    "saturation",
    "sharpness",
  ]);
  assert.deepEqual(baseline.class, { kind: "categorical", categories: ["ok", "bad"], counts: [150, 50, 0] });
  for (const feature of Object.values(baseline)) {
    assert.ok(Feature.safeParse(feature).success);
    assert.equal(
      feature.counts.reduce((a, b) => a + b),
      200,
    );
  }
  assert.equal(baseline.brightness?.counts.length, 10);
});

test("a baseline of nothing is refused", () => {
  assert.throws(() => baselineOf([], ["ok", "bad"], 10), RangeError);
});
