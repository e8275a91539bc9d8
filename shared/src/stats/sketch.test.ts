import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../testing/seeded-random.js";
import { mergeSketches, Sketch, SketchData } from "./sketch.js";

const random = seededRandom(11);
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const distributions: Record<string, () => number> = {
  uniform: () => random() * 100,
  exponential: () => -Math.log(1 - random()) * 20,
  "log-normal": () => Math.exp(normal() * 2),
  pareto: () => (1 - random()) ** -1.5,
  bimodal: () => (random() < 0.9 ? 5 + normal() * 0.5 : 500 + normal() * 20),
  constant: () => 12.5,
  "mostly zero": () => (random() < 0.6 ? 0 : random() * 3),
  tiny: () => random() * 1e-3,
  huge: () => random() * 1e12,
};
const quantiles = [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];

/** Every quantile of the sketch lies within 1 % of the value of that rank. */
function assertAccurate(sketch: Sketch, values: readonly number[], name: string): void {
  const sorted = [...values].sort((a, b) => a - b);
  for (const q of quantiles) {
    const exact = sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN;
    const given = sketch.quantile(q) ?? Number.NaN;
    const allowed = exact < 1e-6 ? 1e-6 : exact * 0.01 * (1 + 1e-9);
    assert.ok(Math.abs(given - exact) <= allowed, `${name} q${q}: ${given}, exact ${exact}`);
  }
}

for (const [name, draw] of Object.entries(distributions)) {
  test(`every quantile of a ${name} distribution is within 1 %, alone and merged`, () => {
    for (const count of [1, 2, 7, 100, 5000]) {
      const values = Array.from({ length: count }, draw);
      const whole = new Sketch();
      const parts = Array.from({ length: 5 }, () => new Sketch());
      for (const value of values) {
        whole.add(value);
        parts[Math.floor(random() * 5)]?.add(value);
      }
      assertAccurate(whole, values, name);
      const merged = mergeSketches(parts.map((part) => SketchData.parse(JSON.parse(JSON.stringify(part)))));
      assertAccurate(merged, values, `${name} merged`);
      const { sum, ...rest } = merged.toJSON();
      const { sum: sumWhole, ...restWhole } = whole.toJSON();
      assert.deepEqual(rest, restWhole);
      assert.ok(Math.abs(sum - sumWhole) <= 1e-9 * sumWhole);
      assert.ok(Math.abs((whole.mean ?? 0) * count - sumWhole) <= 1e-9 * sumWhole);
    }
  });
}

test("an empty sketch has no quantile, and survives its JSON and a merge", () => {
  const empty = new Sketch();
  assert.deepEqual([empty.count, empty.mean, empty.quantile(0.5)], [0, undefined, undefined]);
  const merged = mergeSketches([empty.toJSON(), SketchData.parse(empty.toJSON())]);
  assert.equal(merged.quantile(0.5), undefined);
  merged.add(3);
  merged.merge(empty.toJSON());
  assert.deepEqual(merged.quantile(0.5), 3);
  assert.equal(merged.toJSON().min, 3);
});

test("values that are no latencies are ignored", () => {
  const sketch = new Sketch();
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) sketch.add(value);
  assert.equal(sketch.count, 0);
});

test("a sketch stays small however many values it takes in", () => {
  const sketch = new Sketch();
  for (let at = 0; at < 100_000; at += 1) sketch.add(0.1 + random() * 1000);
  assert.ok(JSON.stringify(sketch).length < 10_000);
});
