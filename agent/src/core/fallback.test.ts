import assert from "node:assert/strict";
import { test } from "node:test";
import type { TriedCandidate } from "@muster/shared";
import type { Installed, ModelState } from "../state.js";
import { fallbackOf } from "./fallback.js";

const digest = (letter: string) => letter.repeat(64);
const installed = (version: string, provider: string): Installed => ({
  ...{ attempt: `r.${version}`, version, release: Number(version), manifest: digest(version) },
  ...{ variant: "fp32", artifact: digest("c"), provider, threads: 1 },
});
const tried = (provider: string, reason?: string): TriedCandidate => ({
  ...{ variant: "fp32", provider, threads: 1 },
  ...(reason === undefined ? { p50Ms: 1 } : { rejected: { code: "E_PROVIDER", detail: reason } }),
});
const after = (before: string, now: string, ...all: TriedCandidate[]): ModelState => ({
  ...{ releaseFloor: 2, finished: [], committed: installed("2", now), previous: installed("1", before) },
  trial: { attempt: "r.2", version: "2", atMs: 0, tried: all, skipped: [], remembered: false },
});
const placed = (requested: string, actual: string, version = "2") => ({
  manifestDigest: digest(version),
  running: { requested, actual, ...(requested === actual ? {} : { reason: "no driver" }) },
});

test("a version that runs where it was to run, and no slower than the one before, has not fallen", () => {
  assert.equal(fallbackOf(after("cpu", "cpu", tried("cpu")), placed("cpu", "cpu")), undefined);
  assert.equal(fallbackOf(after("cpu", "cuda", tried("cuda")), placed("cuda", "cuda")), undefined);
  assert.equal(fallbackOf({ releaseFloor: 0, finished: [] }, undefined), undefined);
});

test("a version that runs on less than was chosen has fallen, with the runner's reason", () => {
  assert.deepEqual(fallbackOf(after("cuda", "cuda", tried("cuda")), placed("cuda", "cpu")), {
    attempt: "r.2",
    detail: "2 was to run on cuda and runs on cpu: no driver",
  });
  assert.equal(fallbackOf(after("cuda", "cuda", tried("cuda")), placed("cuda", "cpu", "1")), undefined, "another one");
});

test("a version for which the provider before did not work has fallen, with the trial's reason", () => {
  const fallen = fallbackOf(after("tensorrt", "cpu", tried("tensorrt", "no engine"), tried("cpu")), undefined);
  assert.match(fallen?.detail ?? "", /1 ran on tensorrt, 2 runs on cpu: no engine/);
  assert.match(fallbackOf(after("cuda", "cpu", tried("cpu")), undefined)?.detail ?? "", /cuda is not there any more/);
});

test("a version that the trial found to be faster on the lesser provider has not fallen", () => {
  assert.equal(fallbackOf(after("cuda", "cpu", tried("cuda"), tried("cpu")), undefined), undefined);
});

test("on probation it is held against the committed version", () => {
  const { committed: _, previous: __, ...state } = after("cuda", "cpu", tried("cuda", "out of memory"), tried("cpu"));
  const { manifest, ...candidate } = installed("2", "cpu");
  const probation: ModelState = {
    ...{ ...state, committed: installed("1", "cuda") },
    candidate: {
      ...{ ...candidate, manifest: { sha256: manifest, sizeBytes: 1 }, probationMs: 1 },
      ...{ phase: "probation", phaseSinceMs: 0, trialStarts: 1 },
    },
  };
  assert.equal(fallbackOf(probation, undefined)?.attempt, "r.2");
});
