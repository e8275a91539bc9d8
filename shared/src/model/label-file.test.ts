import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError } from "../errors.js";
import { pipelineOf } from "../inference/index.js";
import { bundleWithLabels, parseBundle } from "./bundle.js";
import { maxLabelFileBytes, parseLabelFile } from "./label-file.js";
import { ClassificationPostprocess } from "./postprocess/classification.js";
import { DetectionPostprocess } from "./postprocess/detection.js";
import { EventsPostprocess } from "./postprocess/events.js";
import { SegmentationPostprocess } from "./postprocess/segmentation.js";
import { TextPostprocess } from "./postprocess/text.js";

const bytes = (text: string) => Buffer.from(text);

test("a file of labels has one per line, whatever ends its lines, and a space may be one", () => {
  assert.deepEqual(parseLabelFile(bytes("ok\nscratch\n")), ["ok", "scratch"]);
  assert.deepEqual(parseLabelFile(bytes("ok\r\nscratch")), ["ok", "scratch"]);
  assert.deepEqual(parseLabelFile(bytes("\ufeffä\n字\n \n")), ["ä", "字", " "]);
});

test("a file of labels that is empty, no text, too large or has a gap is refused with its place", () => {
  const refused = (file: Uint8Array, says: RegExp) =>
    assert.throws(() => parseLabelFile(file), { code: "bundle/invalid", message: says });
  refused(bytes(""), /^is empty; write one label per line/);
  refused(bytes("ok\n\nscratch\n"), /^has nothing in line 2/);
  refused(bytes("ok\nscratch\n\n"), /^has nothing in line 3/);
  refused(Buffer.of(0x6f, 0xff, 0x6b), /^is no UTF-8 text/);
  refused(Buffer.alloc(maxLabelFileBytes + 1, "a\n"), /^has 1000001 bytes; at most 1000000/);
});

/** A classifier of three classes whose labels lie elsewhere. */
function text(postprocess: object, label = "scratch"): string {
  return JSON.stringify({
    ...{ name: "m", version: "1.0.0", task: "image-classification" },
    variants: [{ name: "fp32", file: "m.onnx", precision: "fp32" }],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 8, 8] }],
      outputs: [{ name: "y", dtype: "float32", shape: ["n", 3] }],
    },
    preprocess: { resize: { width: 8, height: 8 } },
    postprocess,
    selfTest: { samples: [{ file: "ok.png", expect: { label } }] },
  });
}

function problemsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof MusterError && error.code === "bundle/invalid", String(error));
    return error.problems.map(({ field, message }) => `${field}: ${message}`);
  }
  return [];
}

test("labels of a file are checked as if they stood in the bundle", () => {
  const bundle = parseBundle(text({ labelsFile: "labels.txt" }));
  assert.throws(() => pipelineOf(bundle), { code: "internal", message: /the labels in labels\.txt were not read/ });
  const full = bundleWithLabels(bundle, bytes("ok\nscratch\ndent\n"));
  assert.deepEqual("labels" in full.postprocess && full.postprocess.labels, ["ok", "scratch", "dent"]);
  assert.ok(pipelineOf(full).accepts.length > 0);
  const of = (file: string) => problemsOf(() => bundleWithLabels(bundle, bytes(file)));
  assert.match(of("ok\nscratch\n")[0] ?? "", /tensors\.outputs\[0\]\.shape: .*there are 2 labels/);
  assert.match(of("ok\nhole\ndent\n")[0] ?? "", /selfTest\.samples\[0\]\.expect\.label: 'scratch' is not in/);
  assert.match(of("ok\n\ndent\n")[0] ?? "", /^postprocess\.labelsFile: 'labels\.txt' has nothing in line 2/);
  assert.match(of(`ok\n${"x".repeat(201)}\ndent\n`)[0] ?? "", /^postprocess\.labelsFile: 'labels\.txt' line 2: /);
  assert.match(of("ok")[0] ?? "", /^postprocess\.labelsFile: 'labels\.txt': needs at least two labels/);
});

test("labels stand in one place, and it lies inside the bundle", () => {
  const of = (postprocess: object) => problemsOf(() => parseBundle(text(postprocess)));
  assert.match(of({})[0] ?? "", /^postprocess\.labels: is missing; list the labels, or name a file/);
  assert.match(
    of({ labels: ["ok", "scratch", "dent"], labelsFile: "labels.txt" })[0] ?? "",
    /^postprocess\.labelsFile: is one place too many for labels; remove it, or labels/,
  );
  assert.match(of({ labelsFile: "../labels.txt" })[0] ?? "", /^postprocess\.labelsFile: must stay inside the bundle/);
});

test("what a manifest says of labels in a file is read again as it was written", () => {
  const schemas = [
    ClassificationPostprocess,
    DetectionPostprocess,
    EventsPostprocess,
    SegmentationPostprocess,
    TextPostprocess,
  ];
  for (const schema of schemas) {
    const given = schema === DetectionPostprocess ? { format: "yolo-v8" } : {};
    const first = schema.parse({ ...given, labelsFile: "labels.txt" });
    assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(first))), first);
  }
});
