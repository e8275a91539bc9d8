import assert from "node:assert/strict";
import { test } from "node:test";
import { Feature } from "../stats/histogram.js";
import { seededRandom } from "../testing/seeded-random.js";
import { baselineOf } from "./features.js";

test("a baseline has a distribution for every feature of the inputs and of the answers", () => {
  const random = seededRandom(8);
  const values = Array.from({ length: 200 }, (_, at) => ({
    brightness: random(),
    class: at % 4 === 0 ? "bad" : "ok",
    ...(at < 10 ? {} : { gap: at % 10 === 0 ? Number.NaN : at }),
  }));
  const baseline = baselineOf(
    { brightness: "number", class: ["ok", "bad"], gap: "number", none: "number" },
    values,
    10,
  );
  assert.deepEqual(Object.keys(baseline).sort(), ["brightness", "class", "gap"]);
  assert.deepEqual(baseline.class, { kind: "categorical", categories: ["ok", "bad"], counts: [150, 50, 0] });
  for (const feature of Object.values(baseline)) assert.ok(Feature.safeParse(feature).success);
  assert.equal(baseline.brightness?.counts.length, 10);
  assert.equal(
    baseline.gap?.counts.reduce((a, b) => a + b),
    171,
    "what is no number is not counted",
  );
});

test("a baseline of nothing is refused", () => {
  assert.throws(() => baselineOf({ brightness: "number" }, [], 10), RangeError);
});
