import assert from "node:assert/strict";
import { test } from "node:test";
import { engineWaitMs, whyBuild } from "./engine-wait.js";

const megabyte = 1_000_000;
const fetch = { spentMs: 120_000, cameBytes: 20 * megabyte, leftBytes: 80 * megabyte, goneMs: 0 };
const minutes = (count: number) => count * 60_000;

test("all engines of an offer have ten minutes together, fetched or not", () => {
  assert.equal(whyBuild({ elapsedMs: engineWaitMs - 1 }), undefined);
  assert.match(whyBuild({ elapsedMs: engineWaitMs }) ?? "", /did not come within 10 min/);
});

test("one that comes in what is left of the time at the rate seen is waited for, another is not", () => {
  // 80 MB at 10 MB a minute take eight minutes.
  assert.equal(whyBuild({ elapsedMs: minutes(2), fetch }), undefined);
  const why = whyBuild({ elapsedMs: minutes(2) + 1000, fetch }) ?? "";
  assert.match(why, /^at .*k.* per second the 80.* that are left do not come within 10 min$/i);
  assert.match(whyBuild({ elapsedMs: minutes(2), fetch: { ...fetch, cameBytes: 0 } }) ?? "", /do not come/);
});

test("of the rate nothing is said in the first minute, nor when nothing is left", () => {
  assert.equal(whyBuild({ elapsedMs: minutes(2), fetch: { ...fetch, spentMs: 59_999, cameBytes: 0 } }), undefined);
  assert.equal(whyBuild({ elapsedMs: minutes(9), fetch: { ...fetch, cameBytes: 0, leftBytes: 0 } }), undefined);
});

test("a link that is gone for a minute and a pause end the wait at once", () => {
  assert.equal(whyBuild({ elapsedMs: minutes(2), fetch: { ...fetch, goneMs: 59_999 } }), undefined);
  assert.match(
    whyBuild({ elapsedMs: minutes(2), fetch: { ...fetch, goneMs: 60_000 } }) ?? "",
    /no connection for 60 s/,
  );
  assert.match(whyBuild({ elapsedMs: 0, fetch: { ...fetch, paused: "only at night" } }) ?? "", /now: only at night/);
});
