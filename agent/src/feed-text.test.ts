import assert from "node:assert/strict";
import { test } from "node:test";
import { sinkText, sourceText } from "./feed-text.js";

test("a source is a line with its state, what it waits for, its counts and its last error", () => {
  const source = {
    type: "mqtt",
    target: "mqtt://broker/cameras/+",
    model: "defects",
    taken: 12,
    failed: 1,
    dropped: 3,
  };
  assert.equal(
    sourceText({ ...source, state: "waiting", reason: "no version of defects serves", lastError: "a: no picture" }),
    "source     mqtt mqtt://broker/cameras/+ → defects: waiting (no version of defects serves); 12 taken, 1 failed, 3 dropped; last error: a: no picture",
  );
});

test("a sink that does not work is seen at a glance", () => {
  const sink = { type: "webhook", target: "https://line.example/hook", waiting: 5, written: 7, failed: 0, dropped: 0 };
  assert.equal(
    sinkText({ ...sink, state: "failed", lastError: "the receiver answers 503" }),
    "sink       webhook https://line.example/hook: FAILED, trying again; 7 written, 5 wait, 0 failed, 0 dropped; last error: the receiver answers 503",
  );
});
