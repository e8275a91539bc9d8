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
  assert.deepEqual(blamed({ fault: "crash", suspects: ["lids-1"] }, models), [
    { model: "lids", version: "committed", alone: true },
  ]);
  assert.deepEqual(blamed({ fault: "hang", suspects: ["cups-1", "cups-2"] }, models), [
    { model: "cups", version: "candidate", alone: false },
    { model: "cups", version: "committed", alone: false },
  ]);
});

test("when nobody was at work, or somebody unknown, all that are in service are blamed", () => {
  const all = [
    { model: "cups", version: "candidate", alone: false },
    { model: "lids", version: "committed", alone: false },
    { model: "seals", version: "committed", alone: false },
  ];
  assert.deepEqual(blamed({ fault: "crash", suspects: [] }, models), all);
  assert.deepEqual(blamed({ fault: "crash", suspects: ["gone"] }, models), all);
});

test("a version that is being activated is blamed for its own work only", () => {
  const { cups } = models;
  assert.ok(cups !== undefined);
  const activating = { cups: { ...cups, candidate: candidate("cups-2", "proven") } };
  const who = (ending: Parameters<typeof blamed>[0]) => blamed(ending, activating).map(({ version }) => version);
  assert.deepEqual(who({ fault: "crash", suspects: [] }), ["committed"]);
  assert.deepEqual(who({ fault: "memory", suspects: ["cups-1"] }), ["committed"]);
  for (const fault of ["crash", "hang", "memory"] as const)
    assert.deepEqual(who({ fault, suspects: ["cups-2"] }), ["candidate"]);
});

const since = (manifest: string, atMs: number): ModelState => ({
  ...{ releaseFloor: 1, committed: { ...installed(manifest), attempt: manifest } },
  finished: [{ attempt: manifest, version: "1", manifest, outcome: "committed", atMs }],
});

test("memory speaks against a candidate first, and then against who was at work", () => {
  assert.deepEqual(blamed({ fault: "memory", suspects: ["lids-1"] }, models), [
    { model: "cups", version: "candidate", alone: true },
  ]);
  const two = { leaker: since("leaker-1", 5), innocent: since("innocent-1", 9) };
  assert.deepEqual(blamed({ fault: "memory", suspects: ["leaker-1"] }, two), [
    { model: "leaker", version: "committed", alone: true },
  ]);
});

test("of several that may have taken the memory the one committed last is blamed, and never alone", () => {
  const three = { a: since("a-1", 5), b: since("b-1", 9), c: since("c-1", 7) };
  const blames = (suspects: string[]) => blamed({ fault: "memory", suspects }, three);
  assert.deepEqual(blames([]), [{ model: "b", version: "committed", alone: false }]);
  assert.deepEqual(blames(["a-1", "c-1"]), [{ model: "c", version: "committed", alone: false }]);
  assert.deepEqual(blamed({ fault: "memory", suspects: [] }, { a: since("a-1", 5) }), [
    { model: "a", version: "committed", alone: true },
  ]);
});

test("each fault has its code", () => {
  assert.deepEqual(
    (["crash", "hang", "memory"] as const).map((fault) => faultOf({ fault, detail: "x" }).code),
    ["E_CRASH", "E_TIMEOUT", "E_MEMORY"],
  );
});
