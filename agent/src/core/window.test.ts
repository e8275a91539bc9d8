import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeSketches } from "@muster/shared";
import { RunnerWindow } from "../runner/protocol.js";
import { WindowFold } from "./window.js";

const facts = { model: "m", version: "1", manifest: "a".repeat(64), provider: "cpu", endMs: 2000, rssBytes: 5 };
const baseline = {
  brightness: { kind: "continuous" as const, edges: [0.2, 0.8], counts: [1, 1, 1] },
  class: { kind: "categorical" as const, categories: ["good", "bad"], counts: [1, 1, 0] },
};
const stages = (total: number) => ({ pre: 1, queue: 2, run: 3, post: 0, total });

test("a window counts inputs, errors, drops, classes, features and latencies", () => {
  const fold = new WindowFold(baseline, 1000);
  fold.answered({ label: "good", stages: stages(6), features: { brightness: 0.5, class: "good", contrast: 1 } });
  fold.answered({ label: "bad", stages: stages(60), features: { brightness: 0.2, class: "bad" } });
  fold.answered({ label: "odd", stages: stages(6), features: { class: "odd" } });
  fold.failed();
  fold.dropped();
  const window = RunnerWindow.parse(fold.end(facts));
  assert.deepEqual([window.startMs, window.endMs], [1000, 2000]);
  assert.deepEqual([window.inputs, window.errors, window.dropped], [4, 1, 1]);
  assert.deepEqual(window.classes, { good: 1, bad: 1, odd: 1 });
  assert.deepEqual(window.features, { brightness: [0, 2, 0], class: [1, 1, 1] });
  const { total, queue } = window.stages;
  assert.equal(total?.count, 3);
  assert.equal(queue?.sum, 6);
  const slowest = mergeSketches(total === undefined ? [] : [total]).quantile(1) ?? 0;
  assert.ok(Math.abs(slowest - 60) <= 0.6, `the slowest took ${slowest}`);
});

test("a window without answers has no latencies and no features", () => {
  const fold = new WindowFold(baseline, 1000);
  fold.failed();
  const window = RunnerWindow.parse(fold.end(facts));
  assert.deepEqual([window.inputs, window.errors], [1, 1]);
  assert.deepEqual([window.stages, window.features, window.classes], [{}, {}, {}]);
});
