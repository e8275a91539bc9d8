import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import type { Candidate } from "./state.js";
import { Watch } from "./watch.js";

const candidate = (phase: Candidate["phase"], phaseSinceMs: number): Candidate => ({
  ...{ attempt: "r.0", version: "2", manifest: { sha256: "a".repeat(64), sizeBytes: 1 }, probationMs: 1000 },
  ...{ phase, phaseSinceMs, trialStarts: 0 },
});

test("a phase lasts as long as it takes, whatever the time of day is set to meanwhile", () => {
  const clock = new FakeClock();
  const watch = new Watch();
  const downloading = candidate("downloading", clock.now());
  assert.equal(watch.phaseMs(downloading, clock), 0);
  clock.advance(500);
  clock.jump(50 * 3_600_000);
  assert.equal(watch.phaseMs(downloading, clock), 500);
  clock.jump(-100 * 3_600_000);
  clock.advance(500);
  assert.equal(watch.phaseMs(downloading, clock), 1000);
  const verified = candidate("verified", clock.now());
  assert.equal(watch.phaseMs(verified, clock), 0);
});

test("a phase that began before a restart goes on counting, and one that lies ahead begins now", () => {
  const clock = new FakeClock();
  const since = candidate("downloading", clock.now() - 700);
  const watch = new Watch();
  assert.equal(watch.phaseMs(since, clock), 700);
  clock.advance(1);
  assert.equal(watch.phaseMs(since, clock), 701);
  assert.equal(new Watch().phaseMs(candidate("downloading", clock.now() + 3_600_000), clock), 0);
});
