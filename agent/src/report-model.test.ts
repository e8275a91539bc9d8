import assert from "node:assert/strict";
import { test } from "node:test";
import { ReportedModel } from "@muster/shared";
import { reportModel, withServing } from "./report-model.js";
import type { Installed, ModelState } from "./state.js";

const digest = (letter: string) => letter.repeat(64);
const committed: Installed = {
  ...{ attempt: "r.1", version: "1", release: 1, manifest: digest("a") },
  ...{ variant: "fp32", artifact: digest("b"), provider: "cuda", threads: 1 },
};
const state: ModelState = {
  ...{ releaseFloor: 1, finished: [], committed },
  candidate: {
    ...{ attempt: "r.2", version: "2", manifest: { sha256: digest("c"), sizeBytes: 1 }, probationMs: 1 },
    ...{ phase: "trial", phaseSinceMs: 0, trialStarts: 1 },
  },
};
const serving = (running: { requested: string; actual: string; reason?: string }) => ({
  models: [{ model: "m", version: "1", manifestDigest: digest("a"), serving: true, queued: 0, running }],
});

test("what a trial is at is told while the version before serves", () => {
  const report = reportModel("m", state, { doing: "2 of 6: int8 on cpu with 2 threads" });
  const told = withServing(report, state, serving({ requested: "cuda", actual: "cuda" }));
  assert.equal(told.candidate?.doing, "2 of 6: int8 on cpu with 2 threads");
  assert.deepEqual([told.serving, told.running?.actual, told.fallback], ["1", "cuda", undefined]);
  ReportedModel.parse(told);
});

test("a version that serves elsewhere than it was to is told with the reason", () => {
  const told = withServing(
    reportModel("m", state, undefined),
    state,
    serving({ requested: "cuda", actual: "cpu", reason: "gone" }),
  );
  assert.deepEqual(told.running, { requested: "cuda", actual: "cpu", reason: "gone" });
  assert.match(told.fallback?.detail ?? "", /1 was to run on cuda and runs on cpu: gone/);
  ReportedModel.parse(told);
});

test("while the runner is down nothing is said to serve", () => {
  const told = withServing(reportModel("m", state, undefined), state, undefined);
  assert.deepEqual([told.serving, told.running, told.fallback], [undefined, undefined, undefined]);
});
