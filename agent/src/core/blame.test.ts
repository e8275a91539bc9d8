import assert from "node:assert/strict";
import { test } from "node:test";
import type { Candidate, Installed, ModelState } from "../state.js";
import { blamed, faultOf } from "./blame.js";

const installed = (manifest: string) => ({ manifest }) as Installed;
const candidate = (manifest: string, phase: Candidate["phase"]) =>
  ({ phase, manifest: { sha256: manifest, sizeBytes: 1 } }) as Candidate;
const models: Record<string, ModelState> = {
  cups: { releaseFloor: 1, committed: installed("cups-1"), candidate: candidate("cups-2", "probation"), finished: [] },
  lids: { releaseFloor: 1, committed: installed("lids-1"), finished: [] },
  seals: { releaseFloor: 1, committed: installed("seals-1"), candidate: candidate("seals-2", "trial"), finished: [] },
};

test("who was at work is blamed, and nobody else", () => {
  assert.deepEqual(blamed({ fault: "crash", suspects: ["lids-1"] }, models), [{ model: "lids", version: "committed" }]);
  assert.deepEqual(blamed({ fault: "hang", suspects: ["cups-1", "cups-2"] }, models), [
    { model: "cups", version: "candidate" },
    { model: "cups", version: "committed" },
  ]);
});

test("when nobody was at work, or somebody unknown, all that are in service are blamed", () => {
  const all = [
    { model: "cups", version: "candidate" },
    { model: "lids", version: "committed" },
    { model: "seals", version: "committed" },
  ];
  assert.deepEqual(blamed({ fault: "crash", suspects: [] }, models), all);
  assert.deepEqual(blamed({ fault: "crash", suspects: ["gone"] }, models), all);
});

test("a version that is being activated is blamed for its own work only", () => {
  const { cups } = models;
  assert.ok(cups !== undefined);
  const activating = { cups: { ...cups, candidate: candidate("cups-2", "proven") } };
  const committed = [{ model: "cups", version: "committed" }];
  assert.deepEqual(blamed({ fault: "crash", suspects: [] }, activating), committed);
  assert.deepEqual(blamed({ fault: "memory", suspects: ["cups-1"] }, activating), committed);
  for (const fault of ["crash", "hang", "memory"] as const) {
    const ending = { fault, suspects: ["cups-2"] };
    assert.deepEqual(blamed(ending, activating), [{ model: "cups", version: "candidate" }]);
  }
});

test("memory speaks against a candidate first", () => {
  assert.deepEqual(blamed({ fault: "memory", suspects: ["lids-1"] }, models), [
    { model: "cups", version: "candidate" },
  ]);
  const { lids } = models;
  assert.ok(lids !== undefined);
  assert.deepEqual(blamed({ fault: "memory", suspects: [] }, { lids }), [{ model: "lids", version: "committed" }]);
});

test("each fault has its code", () => {
  assert.deepEqual(
    (["crash", "hang", "memory"] as const).map((fault) => faultOf({ fault, detail: "x" }).code),
    ["E_CRASH", "E_TIMEOUT", "E_MEMORY"],
  );
});
