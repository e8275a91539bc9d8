import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketEndsMs, DurationHistogram } from "./duration-histogram.js";

test("a duration counts in its bucket and all above; one beyond the last only in the count and the sum", () => {
  const histogram = new DurationHistogram();
  for (const ms of [0, 1, 1.5, 30, 20_000]) histogram.add(ms);
  const upTo = Object.fromEntries(histogram.upTo().map((count, at) => [bucketEndsMs[at], count]));
  assert.deepEqual([upTo[1], upTo[2.5], upTo[25], upTo[50], upTo[10_000]], [2, 3, 3, 4, 4]);
  assert.deepEqual([histogram.count, histogram.sumMs], [5, 20_032.5]);
});
