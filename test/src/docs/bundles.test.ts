import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseBundle, readYaml, taskNames } from "@muster/shared";
import { pipelineOf } from "@muster/shared/inference";

const text = readFileSync(new URL("../../../docs/bundles.md", import.meta.url), "utf8");
const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
const head = { name: "m", version: "1.0.0", variants: [{ name: "fp32", file: "model.onnx", precision: "fp32" }] };

test("every example of docs/bundles.md is a bundle, and every task has one", () => {
  const tasks = examples.map((example) => {
    const { value } = readYaml(example);
    const bundle = parseBundle(JSON.stringify({ ...head, ...(value as object) }));
    assert.ok(pipelineOf(bundle).accepts.length > 0);
    return bundle.task;
  });
  assert.deepEqual([...new Set(tasks)].sort(), [...taskNames].sort());
  for (const task of taskNames) assert.ok(text.includes(`| [\`${task}\`](#${task}) |`), `${task} is not in the table`);
});
