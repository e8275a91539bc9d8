import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../ids.js";
import { blobsOf, Manifest } from "./manifest.js";

const blob = (name: string) => ({ sha256: sha256(name), sizeBytes: name.length });
const manifest = Manifest.parse({
  model: "defects",
  version: "1.4.0",
  release: 3,
  createdMs: 1_700_000_000_000,
  task: "image-classification",
  variants: ["fp32", "int8"].map((name) => ({
    name,
    precision: "fp32",
    artifact: { ...blob(name), index: blob(`${name} index`) },
  })),
  tensors: {
    inputs: [{ name: "image", dtype: "float32", shape: ["n", 3, 8, 8] }],
    outputs: [{ name: "scores", dtype: "float32", shape: ["n", 2] }],
  },
  preprocess: { resize: { width: 8, height: 8 } },
  postprocess: { labels: ["ok", "bad"] },
  selfTest: { tolerance: 0.05, samples: [{ input: blob("sample"), label: "ok" }] },
  budgets: {},
  baseline: {},
  metadata: {},
});

test("a device may ask for the variants, their indices and the samples", () => {
  const wanted = ["fp32", "fp32 index", "int8", "int8 index", "sample"].map((name) => sha256(name));
  assert.deepEqual(
    blobsOf(manifest).map((item) => item.sha256),
    wanted,
  );
});

test("a manifest survives its own JSON, and a release below one is none", () => {
  assert.deepEqual(Manifest.parse(JSON.parse(JSON.stringify(manifest))), manifest);
  assert.ok(!Manifest.safeParse({ ...manifest, release: 0 }).success);
  assert.ok(!Manifest.safeParse({ ...manifest, variants: [] }).success);
});

test("an agent reads the manifest of a newer hub that says more", () => {
  assert.deepEqual(Manifest.parse({ ...manifest, colour: "blue" }), manifest);
});
