import assert from "node:assert/strict";
import { test } from "node:test";
import { keptForms } from "./kept-forms.js";

const versions = (model: string, ...releases: number[]) =>
  releases.map((release) => ({ model, release, manifest: `${model}${release}` }));

test("the newest releases of each model keep their shorter forms, and so does what is wanted", () => {
  const all = [...versions("m", 2, 5, 1, 4, 3), ...versions("n", 7)];
  assert.deepEqual([...keptForms(all, new Set())].sort(), ["m3", "m4", "m5", "n7"]);
  assert.deepEqual([...keptForms(all, new Set(["m1", "gone"]))].sort(), ["m1", "m3", "m4", "m5", "n7"]);
  assert.deepEqual([...keptForms([], new Set(["m1"]))], []);
});
