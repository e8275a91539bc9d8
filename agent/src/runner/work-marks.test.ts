import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turnOver } from "node:timers/promises";
import { sha256 } from "@muster/shared";
import { temporaryFolder } from "./testing.js";
import { versionsAtWork, WorkMarks } from "./work-marks.js";

test("what was at work can be read from outside, and only that", async () => {
  const path = join(await temporaryFolder(), "new", "engines");
  assert.deepEqual(versionsAtWork(path), []);
  const marks = new WorkMarks(path);
  const [one, two] = [sha256("one"), sha256("two")];
  const [first, second, third] = [marks.of(one), marks.of(two), marks.of(two)];
  second.begin();
  third.begin();
  assert.deepEqual(versionsAtWork(path), [two]);
  first.begin();
  second.end();
  await turnOver();
  assert.deepEqual(versionsAtWork(path), [one, two]);
  first.end();
  third.end();
  await turnOver();
  assert.deepEqual(versionsAtWork(path), []);
  first.begin();
  first.end();
  first.begin();
  await turnOver();
  assert.deepEqual(versionsAtWork(path), [one], "what ended goes on in the same turn");
  first.end();
  first.release();
  assert.deepEqual(versionsAtWork(path), []);
  marks.close();
  new WorkMarks(path).close();
  assert.deepEqual(versionsAtWork(path), []);
});

test("a place that was given back is used again, one that is still at work is not", async () => {
  const path = join(await temporaryFolder(), "engines");
  const marks = new WorkMarks(path);
  const stuck = marks.of(sha256("stuck"));
  stuck.begin();
  stuck.release();
  for (let at = 0; at < 100; at += 1) {
    const mark = marks.of(sha256("good"));
    mark.begin();
    mark.end();
    mark.release();
  }
  assert.deepEqual(versionsAtWork(path), [sha256("stuck")]);
  marks.close();
});
