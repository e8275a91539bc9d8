import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "./seeded-random.js";

test("the same seed gives the same numbers, another seed others", () => {
  const numbers = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
  assert.deepEqual(numbers(1), numbers(1));
  assert.notDeepEqual(numbers(1), numbers(2));
});

test("the numbers are uniform in [0, 1)", () => {
  const random = seededRandom(42);
  const counts = new Array<number>(10).fill(0);
  for (let at = 0; at < 100_000; at += 1) {
    const bin = Math.floor(random() * 10);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  assert.equal(counts.length, 10);
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 400, String(counts));
});
