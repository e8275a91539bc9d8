import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "./backoff.js";

const limits = { baseMs: 1000, capMs: 60_000 };

test("the ceiling doubles with every attempt up to the cap, and never overflows", () => {
  const almostOne = 1 - 2 ** -53;
  const ceilings = [0, 1, 2, 5, 6, 100, 1e9].map((attempt) => Math.round(backoffMs(limits, attempt, almostOne)));
  assert.deepEqual(ceilings, [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
});

test("the wait is spread over the whole range, but never so short that a loop spins", () => {
  assert.equal(backoffMs(limits, 3, 0.5), 4000);
  assert.equal(backoffMs(limits, 3, 0), 100);
  assert.equal(backoffMs(limits, 0, 0.01), 100);
});
