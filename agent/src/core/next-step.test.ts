import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wanted } from "@muster/shared";
import type { Candidate, Installed, ModelState } from "../state.js";
import { type Facts, maxTrialStarts, nextStep, phaseLimitMs } from "./next-step.js";

const digest = (letter: string) => letter.repeat(64);
const wanted: Wanted = {
  model: "m",
  version: "2",
  manifest: { sha256: digest("b"), sizeBytes: 10 },
  attempt: "r.0",
  probationMs: 1000,
};
const installed: Installed = {
  ...{ attempt: "q.0", version: "1", release: 1, manifest: digest("a") },
  ...{ variant: "fp32", artifact: digest("c"), provider: "cpu", threads: 1 },
};
const committed: ModelState = { releaseFloor: 1, committed: installed, finished: [] };
const crash = { code: "E_CRASH" as const, detail: "the runner crashed with SIGSEGV" };
const facts = (over: Partial<Facts> = {}): Facts => ({
  phaseMs: 0,
  probation: { inputs: 0, errors: 0 },
  shadow: { compared: 0, agreed: 0 },
  lost: false,
  runnerDown: undefined,
  recentFaults: [],
  harmsOthers: false,
  expired: false,
  damaged: new Set(),
  ...over,
});
const candidate = (phase: Candidate["phase"], over: Partial<Candidate> = {}): ModelState => ({
  ...committed,
  candidate: {
    ...{ attempt: wanted.attempt, version: "2", manifest: wanted.manifest, probationMs: 1000 },
    ...{ phase, phaseSinceMs: 0, trialStarts: 0 },
    ...over,
  },
});
const did = (state: ModelState, want: Wanted | undefined = wanted, over: Partial<Facts> = {}) =>
  nextStep(want, state, facts(over))?.do;

test("a wanted version goes through every phase in order", () => {
  assert.equal(did(committed), "begin");
  assert.equal(did(candidate("offered")), "describe");
  assert.equal(did(candidate("downloading")), "download");
  assert.equal(did(candidate("verified")), "begin-trial");
  assert.equal(did(candidate("trial")), "trial");
  assert.equal(did(candidate("proven")), "activate");
});

test("a version is committed only after its full probation", () => {
  assert.equal(did(candidate("probation"), wanted, { phaseMs: 999 }), undefined);
  assert.equal(did(candidate("probation"), wanted, { phaseMs: 1000 }), "commit");
});

test("a crash on probation sends the version back at once", () => {
  const step = nextStep(
    wanted,
    candidate("probation"),
    facts({ phaseMs: 500, probation: { fault: crash, inputs: 0, errors: 0 } }),
  );
  assert.deepEqual(step?.do === "give-up" && [step.outcome, step.error.code], ["rolled-back", "E_CRASH"]);
});

test("failing inputs on probation send the version back once enough were seen", () => {
  assert.equal(did(candidate("probation"), wanted, { probation: { inputs: 10, errors: 10 } }), undefined);
  assert.equal(did(candidate("probation"), wanted, { probation: { inputs: 20, errors: 2 } }), "give-up");
});

test("what runs already is acknowledged, what ended is not tried again under the same attempt", () => {
  assert.equal(did(committed, { ...wanted, manifest: { sha256: installed.manifest, sizeBytes: 1 } }), "acknowledge");
  const ended = { attempt: wanted.attempt, version: "2", manifest: digest("b"), outcome: "rejected", atMs: 0 } as const;
  assert.equal(did({ ...committed, finished: [ended] }), undefined);
  assert.equal(did({ ...committed, finished: [ended] }, { ...wanted, attempt: "r.1" }), "begin");
});

test("a candidate that is no longer wanted is given up in every phase", () => {
  for (const phase of ["offered", "downloading", "verified", "trial", "proven", "probation"] as const) {
    const superseded = nextStep({ ...wanted, attempt: "s.0" }, candidate(phase), facts());
    assert.equal(superseded?.do === "give-up" && superseded.outcome, "superseded");
    const cancelled = nextStep(undefined, candidate(phase), facts());
    assert.equal(cancelled?.do === "give-up" && cancelled.outcome, "cancelled");
  }
});

test("every phase has an end", () => {
  for (const [phase, limitMs] of Object.entries(phaseLimitMs)) {
    const step = nextStep(wanted, candidate(phase as Candidate["phase"]), facts({ phaseMs: limitMs + 1 }));
    assert.equal(step?.do === "give-up" && step.outcome, "timed-out", phase);
  }
});

test("a trial that never comes back is not begun for ever", () => {
  assert.equal(did(candidate("verified", { trialStarts: maxTrialStarts - 1 })), "begin-trial");
  assert.equal(did(candidate("verified", { trialStarts: maxTrialStarts })), "give-up");
});

test("a crash loop of the committed version falls back to the one before, if there is one", () => {
  assert.equal(did(committed, wanted, { recentFaults: [crash, crash, crash] }), "begin");
  assert.equal(
    did({ ...committed, previous: { ...installed, manifest: digest("e") } }, wanted, {
      recentFaults: [crash, crash, crash],
    }),
    "fall-back",
  );
  assert.equal(did({ ...committed, previous: installed }, wanted, { recentFaults: [crash, crash] }), "begin");
});

test("with nothing to go back to, a crash loop takes a version out only when others pay for it", () => {
  const recentFaults = [crash, crash, crash];
  const alone = {
    ...committed,
    finished: [{ ...wanted, manifest: digest("b"), outcome: "rejected" as const, atMs: 0 }],
  };
  assert.equal(did(alone, wanted, { recentFaults }), undefined);
  const step = nextStep(wanted, alone, facts({ recentFaults, harmsOthers: true }));
  assert.match(step?.do === "fall-back" ? step.error.detail : "", /3 times within 180 s; it is taken out/);
});

test("a model that is not wanted is removed, once", () => {
  assert.equal(nextStep(undefined, committed, facts())?.do, "remove");
  assert.equal(nextStep(undefined, { releaseFloor: 3, finished: [] }, facts()), undefined);
});

test("a committed version that is damaged on the disk is made whole, unless another one takes its place", () => {
  const same = { ...wanted, manifest: { sha256: installed.manifest, sizeBytes: 1 } };
  const damaged = new Set([installed.manifest]);
  assert.equal(did(committed, same, { damaged }), "repair");
  assert.equal(did(committed, same, { damaged, expired: true }), "repair");
  assert.equal(did(committed, wanted, { damaged }), "begin", "the next version takes its place");
  const ended = { attempt: wanted.attempt, version: "2", manifest: digest("b"), outcome: "rejected", atMs: 0 } as const;
  assert.equal(did({ ...committed, finished: [ended] }, wanted, { damaged }), "repair", "that one had its try");
  assert.equal(nextStep(undefined, committed, facts({ damaged }))?.do, "remove");
  assert.equal(did(candidate("downloading"), wanted, { damaged }), "download");
});

test("a version to go back to that is damaged is made whole when nothing else is to be done", () => {
  const back = { ...installed, version: "0", manifest: digest("e") };
  const state = { ...committed, previous: back };
  const same = { ...wanted, manifest: { sha256: installed.manifest, sizeBytes: 1 } };
  const damaged = new Set([back.manifest]);
  const ended = { attempt: same.attempt, version: "1", manifest: digest("a"), outcome: "committed", atMs: 0 } as const;
  const step = nextStep(same, { ...state, finished: [ended] }, facts({ damaged }));
  assert.deepEqual(step, { do: "repair", installed: back, wanted: undefined });
  assert.equal(did(state, same, { damaged }), "acknowledge");
  assert.equal(did(state, wanted, { damaged }), "begin");
  assert.equal(did(state, wanted, { damaged, expired: true }), "repair");
  const both = nextStep(same, { ...state, finished: [ended] }, facts({ damaged: new Set([...damaged, digest("a")]) }));
  assert.deepEqual(both, { do: "repair", installed, wanted: same }, "what serves comes first");
});

test("when what is wanted has expired nothing new begins, and what serves is watched on", () => {
  const expired = { expired: true };
  assert.equal(did(committed, wanted, expired), undefined);
  assert.equal(did(committed, undefined, expired), undefined, "an old document removes nothing");
  for (const phase of ["offered", "downloading", "verified", "trial", "proven"] as const) {
    assert.equal(did(candidate(phase), wanted, expired), undefined, phase);
  }
  const probation = { fault: crash, inputs: 0, errors: 0 };
  assert.equal(did(candidate("probation"), wanted, { ...expired, probation }), "give-up");
  assert.equal(did(candidate("probation"), wanted, { ...expired, phaseMs: 1000 }), "commit");
  const crashing = { ...committed, previous: installed };
  assert.equal(did(crashing, wanted, { ...expired, recentFaults: [crash, crash, crash] }), "fall-back");
});

test("a version with a shadow plan runs beside the serving one first, and has to agree with it", () => {
  const shadow = { ms: 1000, share: 0.1, cpuShare: 0.2, minAgreement: 0.9 };
  const inShadow = candidate("shadow", { shadow });
  assert.equal(did(candidate("proven", { shadow })), "begin-shadow");
  assert.equal(did({ ...candidate("proven", { shadow }), committed: undefined } as ModelState), "activate");
  const seen = (compared: number, agreed: number, phaseMs = 1000) => ({ phaseMs, shadow: { compared, agreed } });
  assert.equal(did(inShadow, wanted, seen(100, 100, 999)), undefined);
  assert.equal(did(inShadow, wanted, seen(100, 95)), "activate");
  assert.equal(did(inShadow, wanted, seen(3, 3)), undefined);
  const refused = nextStep(wanted, inShadow, facts(seen(100, 50)));
  assert.ok(refused?.do === "give-up" && refused.outcome === "rejected" && refused.error.code === "E_SHADOW");
  const late = nextStep(wanted, inShadow, facts(seen(3, 3, 3_601_001)));
  assert.ok(late?.do === "give-up" && late.outcome === "timed-out");
});

test("a crash in the shadow refuses the version, and a shadow that the runner lost begins anew", () => {
  const shadow = { ms: 1000, share: 0.1, cpuShare: 0.2, minAgreement: 0 };
  const inShadow = candidate("shadow", { shadow });
  const crashed = nextStep(wanted, inShadow, facts({ probation: { fault: crash, inputs: 0, errors: 0 } }));
  assert.ok(crashed?.do === "give-up" && crashed.outcome === "rejected" && crashed.error.code === "E_CRASH");
  assert.equal(did(inShadow, wanted, { lost: true }), "begin-shadow");
});

test("a version on probation that the runner lost is activated again instead of passing without having run", () => {
  assert.equal(did(candidate("probation"), wanted, { lost: true, phaseMs: 1000 }), "activate");
  const crashed = { lost: true, probation: { fault: crash, inputs: 0, errors: 0 } };
  assert.equal(did(candidate("probation"), wanted, crashed), "give-up");
});

test("what needs the runner waits for one that is being started again, and not for ever", () => {
  const shadow = { ms: 1000, share: 0.1, cpuShare: 0.2, minAgreement: 0 };
  const down = { runnerDown: { ms: 60_000, ends: 1 }, lost: true, phaseMs: 1000 };
  for (const state of [candidate("proven"), candidate("shadow", { shadow }), candidate("probation")]) {
    assert.equal(did(state, wanted, down), undefined, state.candidate?.phase);
    const superseded = nextStep({ ...wanted, attempt: "s.0" }, state, facts(down));
    assert.equal(superseded?.do === "give-up" && superseded.outcome, "superseded");
    const late = nextStep(wanted, state, facts({ ...down, runnerDown: { ms: 1_800_001, ends: 1 } }));
    assert.equal(late?.do === "give-up" && late.outcome, "timed-out", state.candidate?.phase);
    const loop = nextStep(wanted, state, facts({ ...down, runnerDown: { ms: 1, ends: 3 } }));
    assert.equal(loop?.do === "give-up" && loop.outcome, "failed", state.candidate?.phase);
  }
  assert.equal(did(candidate("downloading"), wanted, down), "download");
  assert.equal(nextStep(undefined, committed, facts(down)), undefined, "a version is unloaded from a runner that runs");
});

test("a version that ends the runner while it is loaded is rejected", () => {
  const probation = { fault: crash, inputs: 0, errors: 0 };
  const step = nextStep(wanted, candidate("proven"), facts({ probation, runnerDown: { ms: 1, ends: 1 } }));
  assert.deepEqual(step?.do === "give-up" && [step.outcome, step.error.code], ["rejected", "E_CRASH"]);
});
