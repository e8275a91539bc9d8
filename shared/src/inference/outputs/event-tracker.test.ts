import assert from "node:assert/strict";
import { test } from "node:test";
import { EventTracker } from "./event-tracker.js";

const rules = { threshold: 0.5, endThreshold: 0.3, gapMs: 200, minMs: 100 };
const frameMs = 50;

test("an event is told as soon as nothing can be joined to it, and not before", () => {
  const tracker = new EventTracker("speech", frameMs, rules);
  assert.deepEqual(tracker.push([0.1, 0.6, 0.9, 0.4]), []);
  assert.equal(tracker.active, true);
  assert.deepEqual(tracker.push([0.2]), []);
  assert.equal(tracker.active, false);
  assert.deepEqual(tracker.push([0, 0, 0]), [], "a pause of less than 200 ms would be part of it");
  assert.deepEqual(tracker.push([0]), [{ label: "speech", startMs: 50, endMs: 200, confidence: 0.9 }]);
  assert.deepEqual(tracker.finish(), []);
});

test("events are joined over short pauses across pieces, and short ones are left out", () => {
  const tracker = new EventTracker("speech", frameMs, rules, 10);
  assert.deepEqual(tracker.push([0.9, 0.9, 0]), []);
  assert.deepEqual(tracker.push([0, 0, 0.7]), []);
  assert.deepEqual(tracker.push([0, 0, 0, 0, 0, 0]), [{ label: "speech", startMs: 500, endMs: 800, confidence: 0.9 }]);
  assert.deepEqual(tracker.push([0.9, 0, 0, 0, 0, 0]), [], "50 ms are too short");
  tracker.push([0.8, 0.8, 0.8]);
  assert.deepEqual(tracker.finish(), [{ label: "speech", startMs: 1400, endMs: 1550, confidence: 0.8 }]);
});

test("however scores are cut into pieces, the events are the same", () => {
  let state = 7;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  let found = 0;
  for (let round = 0; round < 200; round += 1) {
    const scores = Array.from({ length: 60 }, () => (random() < 0.7 ? Math.round(random()) * 0.9 : random()));
    const whole = new EventTracker("a", frameMs, rules);
    const expected = [...whole.push(scores), ...whole.finish()];
    const pieces = new EventTracker("a", frameMs, rules);
    const events: unknown[] = [];
    for (let from = 0; from < scores.length; ) {
      const to = from + 1 + Math.floor(random() * 7);
      events.push(...pieces.push(scores.slice(from, to)));
      from = to;
    }
    events.push(...pieces.finish());
    assert.deepEqual(events, expected);
    found += expected.length;
  }
  assert.ok(found > 200, `${found}`);
});
