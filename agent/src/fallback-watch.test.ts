import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedModel } from "@muster/shared";
import { FallbackWatch } from "./fallback-watch.js";

test("a fall is told once, and again when the model falls anew or for another reason", () => {
  const told: unknown[] = [];
  const watch = new FallbackWatch(({ model, detail }) => told.push([model, detail]));
  const model = (detail?: string): ReportedModel => ({
    ...{ model: "m", finished: [] },
    ...(detail === undefined ? {} : { fallback: { attempt: "r.1", detail } }),
  });
  for (const detail of [undefined, "gone", "gone", "full", undefined, "full"]) watch.look([model(detail)]);
  assert.deepEqual(told, [
    ["m", "gone"],
    ["m", "full"],
    ["m", "full"],
  ]);
});
