import assert from "node:assert/strict";
import { test } from "node:test";
import { budgetAt, judgeShadow } from "./shadow.js";

const plan = { ms: 1000, share: 0.1, cpuShare: 0.2, minAgreement: 0.9 };

test("a version leaves the shadow after its full time, and only with the agreement that is asked for", () => {
  assert.deepEqual(judgeShadow(plan, { compared: 100, agreed: 100 }, 999), { kind: "wait" });
  assert.deepEqual(judgeShadow(plan, { compared: 100, agreed: 90 }, 1000), { kind: "pass" });
  const verdict = judgeShadow(plan, { compared: 100, agreed: 89 }, 1000);
  assert.ok(verdict.kind === "fail" && /89 of 100 answers, less than 0.9/.test(verdict.reason));
});

test("too few answers let no version through when an agreement is asked for", () => {
  assert.deepEqual(judgeShadow(plan, { compared: 19, agreed: 19 }, 5000), { kind: "wait" });
  assert.deepEqual(judgeShadow({ ...plan, minAgreement: 0 }, { compared: 0, agreed: 0 }, 1000), { kind: "pass" });
});

test("the budget grows with time, and only a little is saved up", () => {
  assert.deepEqual(budgetAt({ atMs: 0, leftMs: -50 }, 0.5, 200), { atMs: 200, leftMs: 50 });
  assert.deepEqual(budgetAt({ atMs: 0, leftMs: 0 }, 0.5, 3_600_000), { atMs: 3_600_000, leftMs: 1000 });
});
