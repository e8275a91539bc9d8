import assert from "node:assert/strict";
import { test } from "node:test";
import { AttemptLimit } from "./attempt-limit.js";

const limits = { free: 3, baseMs: 1000, capMs: 8000, forgetMs: 60_000, maxAddresses: 2 };

test("some failures are free, then each pause is twice the one before, up to a cap", () => {
  const attempts = new AttemptLimit(limits);
  const pauses: number[] = [];
  let nowMs = 0;
  for (let failure = 1; failure <= 8; failure += 1) {
    assert.equal(attempts.failed("a", nowMs), failure);
    const waitMs = attempts.waitMs("a", nowMs);
    pauses.push(waitMs);
    nowMs += waitMs;
    assert.equal(attempts.waitMs("a", nowMs), 0);
  }
  assert.deepEqual(pauses, [0, 0, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.equal(attempts.waitMs("b", nowMs), 0, "other addresses do not wait");
});

test("an address that has been quiet begins anew", () => {
  const attempts = new AttemptLimit(limits);
  for (let failure = 0; failure < 5; failure += 1) attempts.failed("a", 0);
  assert.equal(attempts.waitMs("a", 60_001), 0);
  assert.equal(attempts.failed("a", 60_001), 1);
});

test("many addresses do not fill the memory: the one that failed longest ago is forgotten", () => {
  const attempts = new AttemptLimit(limits);
  for (let failure = 0; failure < 4; failure += 1) attempts.failed("a", 0);
  attempts.failed("b", 1);
  attempts.failed("c", 2);
  assert.equal(attempts.waitMs("a", 2), 0);
  assert.equal(attempts.failed("b", 3), 2);
});
