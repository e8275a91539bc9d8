import assert from "node:assert/strict";
import { test } from "node:test";
import { queueShare, usableBytes } from "./share.js";

test("models share the places of all evenly, each has one at least, and none more than its own limit", () => {
  assert.deepEqual(
    [1, 3, 4, 8, 100].map((models) => queueShare(64, 60, models)),
    [60, 20, 15, 7, 1],
  );
  assert.equal(queueShare(64, 256, 0), 64);
});

test("who holds little may use all, who holds much leaves a part free, and the largest piece always has room", () => {
  assert.equal(usableBytes(1000, 300, 250), 1000);
  assert.equal(usableBytes(1000, 300, 251), 750);
  assert.equal(usableBytes(1000, 900, 900), 900);
  assert.equal(usableBytes(1000, 1000, 1000), 1000);
});
