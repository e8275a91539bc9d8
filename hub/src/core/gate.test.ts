import assert from "node:assert/strict";
import { test } from "node:test";
import { type Evidence, judge } from "./gate.js";

const limits = { successPercent: 95, errorPercent: 5, fallbackPercent: 5, minExecuted: 3 };
const seen = (evidence: Partial<Evidence>): Evidence => ({
  devices: 0,
  laggards: 0,
  started: 0,
  committed: 0,
  failed: 0,
  fellBack: 0,
  ...evidence,
});

test("a wave passes when all that can have committed", () => {
  assert.deepEqual(judge(limits, seen({ devices: 5, started: 5, committed: 5 })), { kind: "pass" });
});

test("a wave waits for devices that are still at it", () => {
  assert.equal(judge(limits, seen({ devices: 5, started: 5, committed: 4 })).kind, "wait");
});

test("laggards neither block a wave nor count as success", () => {
  assert.equal(judge(limits, seen({ devices: 5, laggards: 2, started: 3, committed: 3 })).kind, "pass");
});

test("a wave that nobody finished does not pass", () => {
  assert.equal(judge(limits, seen({ devices: 2, laggards: 2 })).kind, "wait");
  assert.equal(judge(limits, seen({})).kind, "wait");
});

test("one failure of a five-device canary halts, once enough have finished", () => {
  assert.equal(judge(limits, seen({ devices: 5, started: 5, failed: 1 })).kind, "wait");
  const verdict = judge(limits, seen({ devices: 5, started: 5, committed: 2, failed: 1, example: "a: E_SELFTEST" }));
  assert.equal(verdict.kind, "fail");
  assert.match(verdict.kind === "fail" ? verdict.reason : "", /1 failed of 5 started.*a: E_SELFTEST/);
});

test("a wave smaller than minExecuted is judged when it is over", () => {
  assert.equal(judge(limits, seen({ devices: 1, started: 1, failed: 1 })).kind, "fail");
});

test("failures within the error share are forgiven from twenty devices on", () => {
  assert.equal(judge(limits, seen({ devices: 20, started: 20, committed: 19, failed: 1 })).kind, "pass");
});

test("failure is tested before success", () => {
  const lenient = { successPercent: 50, errorPercent: 10, fallbackPercent: 5, minExecuted: 1 };
  assert.equal(judge(lenient, seen({ devices: 4, started: 4, committed: 3, failed: 1 })).kind, "fail");
});

test("too few commits fail although errors are allowed", () => {
  const odd = { successPercent: 95, errorPercent: 50, fallbackPercent: 5, minExecuted: 1 };
  assert.equal(judge(odd, seen({ devices: 4, started: 4, committed: 3, failed: 1 })).kind, "fail");
});

test("devices that fell back to a slower provider halt a wave, before they have committed", () => {
  const fallback = "jetson-1: 2 ran on cuda, 3 runs on cpu";
  const fallen = seen({ devices: 5, started: 3, fellBack: 1, fallback });
  const verdict = judge(limits, fallen);
  assert.match(verdict.kind === "fail" ? verdict.reason : "", /1 of 3 started fell back: .*; jetson-1: 2 ran on cuda/);
  assert.equal(judge(limits, { ...fallen, started: 2 }).kind, "wait", "two are too few to judge by");
  assert.equal(judge({ ...limits, fallbackPercent: 40 }, fallen).kind, "wait");
  assert.equal(judge(limits, seen({ devices: 1, started: 1, committed: 1, fellBack: 1 })).kind, "fail");
});
