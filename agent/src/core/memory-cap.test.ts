import assert from "node:assert/strict";
import { test } from "node:test";
import { isShort, memoryCapBytes, overCap } from "./memory-cap.js";

test("the setting caps the runner, else the budgets of what is loaded, once per thread", () => {
  const loaded = [
    { memoryMb: 100, threads: 2 },
    { memoryMb: 50, threads: 0 },
  ];
  assert.equal(memoryCapBytes(300, loaded), 300_000_000);
  assert.equal(memoryCapBytes(0, loaded), 250_000_000);
});

test("what a provider takes by itself comes on top of budgets, not of the setting", () => {
  const loaded = [{ memoryMb: 100, threads: 1 }];
  assert.equal(memoryCapBytes(0, loaded, 900_000_000), 1_000_000_000);
  assert.equal(memoryCapBytes(300, loaded, 900_000_000), 300_000_000);
});

test("without a setting there is no cap when nothing is loaded or a version has no budget", () => {
  assert.equal(memoryCapBytes(0, []), undefined);
  assert.equal(memoryCapBytes(0, [{ memoryMb: 100, threads: 1 }, { threads: 1 }]), undefined);
});

test("memory is short near the cap, or when the machine has hardly any left", () => {
  const machine = { freeBytes: 500, totalBytes: 1000 };
  assert.equal(isShort({ rssBytes: 90, capBytes: 100 }, machine), false);
  assert.equal(isShort({ rssBytes: 91, capBytes: 100 }, machine), true);
  assert.equal(isShort({ rssBytes: 1e9 }, machine), false);
  assert.equal(isShort({ rssBytes: 1 }, { freeBytes: 49, totalBytes: 1000 }), true);
});

test("a runner over its cap twice in a row has to go, a single peak may pass", () => {
  const small = { rssBytes: 1_000_000, capBytes: 2_000_000 };
  const large = { rssBytes: 3_000_000, capBytes: 2_000_000 };
  const first = overCap(large, { over: false });
  assert.deepEqual(first, { over: true });
  assert.deepEqual(overCap(small, first), { over: false });
  assert.match(overCap(large, first).kill ?? "", /took 3 MB, its limit is 2 MB/);
  assert.deepEqual(overCap({ rssBytes: 9e9 }, first), { over: false });
  assert.deepEqual(overCap(undefined, first), { over: false });
});
