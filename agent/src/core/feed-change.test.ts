import assert from "node:assert/strict";
import { test } from "node:test";
import type { SinkReport, SourceReport } from "@muster/shared";
import { feedsChanged } from "./feed-change.js";

const counts = { taken: 0, failed: 0, dropped: 0 };
const source: SourceReport = { type: "http", target: "t", model: "m", state: "running", ...counts };
const sink: SinkReport = {
  type: "webhook",
  target: "t",
  state: "running",
  waiting: 0,
  written: 0,
  failed: 0,
  dropped: 0,
};
const feeds = (a: Partial<SourceReport> = {}, b: Partial<SinkReport> = {}) => ({
  sources: [{ ...source, ...a }],
  sinks: [{ ...sink, ...b }],
});

test("the hub is told of a changed state, a new complaint and the first loss, not of every input", () => {
  assert.ok(feedsChanged(undefined, feeds()));
  assert.ok(!feedsChanged(feeds(), feeds({ taken: 5, dropped: 3 }, { written: 5, waiting: 2 })));
  for (const changed of [
    feeds({ state: "failed" }),
    feeds({ reason: "no version of m serves" }),
    feeds({ lastError: "the server answers 500" }),
    feeds({ failed: 1 }),
    feeds({}, { state: "failed" }),
    feeds({}, { dropped: 1 }),
  ]) {
    assert.ok(feedsChanged(feeds(), changed), JSON.stringify(changed));
  }
  assert.ok(!feedsChanged(feeds({ failed: 1 }), feeds({ failed: 2 })));
});
