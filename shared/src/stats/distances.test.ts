import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../testing/seeded-random.js";
import {
  falseAlarmRate,
  jensenShannon,
  kolmogorovSmirnov,
  psi,
  psiFloor,
  psiThreshold,
  total,
  wasserstein,
} from "./distances.js";
import { binCount, binOf, continuousFeature } from "./histogram.js";

const near = (actual: number, expected: number, within = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`);

test("distances have their known values", () => {
  // Shares with half a count per bin: (30.5, 70.5) / 101 and (60.5, 40.5) / 101.
  const [p, q] = [30.5 / 101, 60.5 / 101];
  near(psi([30, 70], [60, 40]), (p - q) * Math.log(p / q) + (q - p) * Math.log((1 - p) / (1 - q)));
  near(kolmogorovSmirnov([1, 1, 2], [2, 1, 1]), 0.25);
  near(kolmogorovSmirnov([10, 0], [0, 10]), 1);
  near(wasserstein([1, 0, 0], [0, 0, 1]), 2);
  near(wasserstein([1, 1, 0], [0, 1, 1]), 1);
  near(jensenShannon([1e9, 0], [0, 1e9]), 1, 1e-6);
});

test("equal shares have no distance, whatever the numbers", () => {
  for (const distance of [jensenShannon, kolmogorovSmirnov, wasserstein])
    near(distance([10, 30, 60], [100, 300, 600]), 0, 1e-3);
  near(psi([1000, 3000], [1000, 3000]), 0);
});

test("every distance is finite, never negative and the same both ways, also over empty bins", () => {
  const random = seededRandom(5);
  const draw = (bins: number) => Array.from({ length: bins }, () => Math.floor(random() ** 4 * 50));
  for (let round = 0; round < 500; round += 1) {
    const bins = 2 + Math.floor(random() * 20);
    const [a, b] = [draw(bins), draw(bins)];
    for (const distance of [psi, jensenShannon, kolmogorovSmirnov, wasserstein]) {
      const there = distance(a, b);
      assert.ok(Number.isFinite(there) && there >= -1e-12, `${distance.name} ${there}`);
      near(there, distance(b, a));
    }
    assert.ok(jensenShannon(a, b) <= 1 && kolmogorovSmirnov(a, b) <= 1 + 1e-12);
  }
});

test("histograms of different lengths are compared as if the shorter had empty bins", () => {
  near(psi([5, 5], [5, 5, 9]), psi([5, 5, 0], [5, 5, 9]));
  near(wasserstein([4], [0, 4]), 1);
  assert.equal(total([1, 2, 3]), 6);
});

test("without inputs or a reference nothing can be told, so no threshold is passed", () => {
  assert.equal(psiThreshold({ bins: 10, current: 0, reference: 100, features: 1 }), Number.POSITIVE_INFINITY);
  assert.equal(psiThreshold({ bins: 10, current: 100, reference: 0, features: 1 }), Number.POSITIVE_INFINITY);
});

test("the threshold falls with the numbers down to the floor, and rises with the features tested together", () => {
  const at = (current: number, features = 1) => psiThreshold({ bins: 10, current, reference: 500, features });
  assert.ok(at(50) > at(100) && at(100) > at(200));
  assert.equal(at(1_000_000), psiFloor);
  assert.ok(at(100, 6) > at(100, 1));
});

const random = seededRandom(2024);
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** PSI over threshold for `features` features of `current` inputs, against a reference cut into bins like in earnest. */
function worstRatio(bins: number, current: number, reference: number, features: number, shift: number): number {
  const ratios = Array.from({ length: features }, () => {
    const feature = continuousFeature(Array.from({ length: reference }, normal), bins);
    const counts = new Array<number>(binCount(feature)).fill(0);
    for (let at = 0; at < current; at += 1) {
      const bin = binOf(feature, normal() + shift);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    const threshold = psiThreshold({ bins: counts.length, current, reference, features });
    return psi(counts, feature.counts) / threshold;
  });
  return Math.max(...ratios);
}

test("without a change there are no more false alarms than promised", () => {
  let alarms = 0;
  let evaluations = 0;
  // Small numbers, where the floor does not help; and many features, where the correction must.
  for (const [bins, current, reference, features] of [
    [4, 100, 100, 1],
    [10, 100, 200, 1],
    [10, 300, 100, 1],
    [20, 200, 200, 1],
    [10, 100, 200, 6],
  ] as const) {
    for (let round = 0; round < 3000 / features; round += 1) {
      evaluations += 1;
      if (worstRatio(bins, current, reference, features, 0) > 1) alarms += 1;
    }
  }
  // The promise is a rate; twice the expected number is beyond what chance explains at this many evaluations.
  assert.ok(alarms <= 2 * falseAlarmRate * evaluations, `${alarms} false alarms in ${evaluations}`);
});

test("a real shift is found", () => {
  let found = 0;
  for (let round = 0; round < 100; round += 1) if (worstRatio(10, 200, 500, 6, 1) > 1) found += 1;
  assert.equal(found, 100);
});
