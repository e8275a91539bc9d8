import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError, type Problem } from "../errors.js";
import { parseBundle } from "./bundle.js";
import { fits } from "./tensors.js";

const good = `task: image-classification
name: defects
version: 1.4.0
variants:
  - { name: fp32, file: model.onnx, precision: fp32 }
  - { name: int8, file: quantised/model.onnx, precision: int8-qdq }
tensors:
  inputs:
    - { name: image, dtype: float32, shape: [n, 3, 48, 64] }
  outputs:
    - { name: scores, dtype: float32, shape: [n, 3] }
preprocess:
  resize: { width: 64, height: 48 }
postprocess:
  labels: [ok, scratch, dent]
selfTest:
  samples:
    - file: samples/ok.png
      expect: { label: ok, scores: [0.9, 0.05, 0.05] }
`;

/** The problems of the good bundle with one text replaced by another. */
function problemsWith(from: string, to: string): readonly Problem[] {
  assert.ok(good.includes(from), from);
  return problemsOfText(good.replace(from, to));
}

function problemsOfText(text: string): readonly Problem[] {
  let problems: readonly Problem[] = [];
  assert.throws(
    () => parseBundle(text),
    (error) => {
      assert.ok(error instanceof MusterError, String(error));
      assert.equal(error.code, "bundle/invalid");
      problems = error.problems;
      return true;
    },
  );
  assert.ok(problems.length > 0);
  return problems;
}

/** Asserts that exactly one problem is found, on this field, with this in its message. */
function only(problems: readonly Problem[], field: string, message: RegExp): void {
  assert.deepEqual(
    problems.map((problem) => problem.field),
    [field],
    JSON.stringify(problems),
  );
  assert.match(problems[0]?.message ?? "", message);
}

test("a good bundle is read with its defaults filled in", () => {
  const bundle = parseBundle(good);
  assert.ok(bundle.task === "image-classification");
  assert.equal(bundle.variants.length, 2);
  assert.deepEqual(bundle.preprocess.mean, [0, 0, 0]);
  assert.equal(bundle.preprocess.layout, "nchw");
  assert.equal(bundle.postprocess.softmax, false);
  assert.equal(bundle.selfTest.tolerance, 0.05);
  assert.deepEqual([bundle.budgets, bundle.metadata, bundle.baseline], [{}, {}, undefined]);
});

test("a baseline gets its defaults, and JSON is YAML too", () => {
  const bundle = parseBundle(`${good}baseline: { images: reference }\n`);
  assert.deepEqual(bundle.baseline, { images: "reference", maxImages: 2000, bins: 10 });
  assert.deepEqual(parseBundle(JSON.stringify(bundle)), bundle);
});

test("an unknown key is an error with its line, at the top and inside", () => {
  only(problemsOfText(`${good}lisence: MIT\n`), "lisence", /unknown key; remove it \(line 20\)/);
  only(problemsWith("resize: {", "resize: { mod: fill,"), "preprocess.resize.mod", /unknown key.*\(line 13\)/);
});

test("a missing field is named", () => {
  only(problemsWith("version: 1.4.0\n", ""), "version", /has to be a text/);
  only(problemsWith("precision: int8-qdq", ""), "variants[1].precision", /fp32/);
  only(
    problemsWith("  labels: [ok, scratch, dent]\n", "  topK: 1\n"),
    "postprocess.labels",
    /is missing; list the labels/,
  );
});

test("values of the wrong kind, and out of bounds, are told with their line", () => {
  only(problemsWith("width: 64", "width: wide"), "preprocess.resize.width", /number.*\(line 13\)/);
  only(problemsWith("width: 64", "width: 0"), "preprocess.resize.width", /1/);
  only(problemsWith("name: defects", "name: Defects!"), "name", /a-z 0-9.*\(line 2\)/);
  only(problemsWith("precision: fp32", "precision: fp64"), "variants[0].precision", /int8-qdq.*\(line 5\)/);
  only(problemsWith("labels: [ok, scratch, dent]", "labels: [ok]"), "postprocess.labels", /at least two/);
  only(problemsWith("preprocess:\n", "preprocess:\n  mean: [0, 0]\n"), "preprocess.mean", /three in all/);
  only(problemsWith("preprocess:\n", "preprocess:\n  std: [1, 0, 1]\n"), "preprocess.std[1]", /line 13/);
  only(problemsWith("variants:\n", "variants: []\nx:\n").slice(0, 1), "variants", /at least one variant/);
});

test("an unknown task names those there are", () => {
  only(problemsWith("task: image-classification", "task: poetry"), "task", /must be one of: image-classification/);
});

test("all problems are told at once", () => {
  const text = good
    .replace("version: 1.4.0", "version: 1 4")
    .replace("height: 48", "height: -1")
    .replace("precision: fp32", "precision: x");
  const fields = problemsOfText(text).map(({ field }) => field);
  assert.deepEqual(fields.sort(), ["preprocess.resize.height", "variants[0].precision", "version"]);
});

test("the tensors must be what preprocess makes and postprocess reads", () => {
  const input = "tensors.inputs[0].shape";
  only(
    problemsWith("[n, 3, 48, 64]", "[n, 3, 64, 48]"),
    input,
    /is \[n, 3, 64, 48\], but preprocess makes \[n, 3, 48, 64\]/,
  );
  only(problemsWith("[n, 3, 48, 64]", "[n, 48, 64, 3]"), input, /\(line 9\)/);
  only(problemsWith("[n, 3, 48, 64]", "[3, 48, 64]"), input, /preprocess makes/);
  only(
    problemsWith("dtype: float32, shape: [n, 3, 48", "dtype: uint8, shape: [n, 3, 48"),
    "tensors.inputs[0].dtype",
    /uint8/,
  );
  only(
    problemsWith("shape: [n, 3] }", "shape: [n, 4] }"),
    "tensors.outputs[0].shape",
    /there are 3 labels.*\(line 11\)/,
  );
  const two = "  inputs:\n    - { name: mask, dtype: float32, shape: [n, 3, 48, 64] }\n";
  only(problemsWith("  inputs:\n", two), "tensors.inputs", /exactly one input/);
  const outputs = "  outputs:\n    - { name: boxes, dtype: float32, shape: [n, 3] }\n";
  only(problemsWith("  outputs:\n", outputs), "tensors.outputs", /exactly one output/);
});

test("a channels-last model and free dimensions are fine", () => {
  parseBundle(
    good.replace("[n, 3, 48, 64]", "[1, 48, 64, 3]").replace("preprocess:\n", "preprocess:\n  layout: nhwc\n"),
  );
  parseBundle(good.replace("[n, 3, 48, 64]", "[batch, 3, h, w]").replace("shape: [n, 3] }", "shape: [n, classes] }"));
});

test("a sample's label must be one of the labels, and its scores one per label", () => {
  const label = "selfTest.samples[0].expect.label";
  only(
    problemsWith("label: ok", "label: fine"),
    label,
    /'fine' is not in postprocess\.labels \(ok, scratch, dent\) \(line 19\)/,
  );
  only(problemsWith("[0.9, 0.05, 0.05]", "[0.9, 0.1]"), "selfTest.samples[0].expect.scores", /2 numbers for 3 labels/);
  const none = "samples: []\nx:\n  a:";
  only(
    problemsWith("samples:", none).filter(({ field }) => field !== "x"),
    "selfTest.samples",
    /at least one sample/,
  );
});

test("each variant has a name of its own", () => {
  only(problemsWith("name: int8", "name: fp32"), "variants[1].name", /'fp32' is used twice.*\(line 6\)/);
});

test("no path leads out of the bundle", () => {
  for (const path of ["../model.onnx", "a/../../b.onnx", "a/.."]) {
    only(problemsWith("model.onnx", path), "variants[0].file", /must stay inside the bundle.*\(line 5\)/);
  }
  for (const path of ["/etc/passwd", "'C:/model.onnx'", "'a\\b.onnx'"]) {
    only(problemsWith("model.onnx", path), "variants[0].file", /relative to muster\.yaml/);
  }
  const [problem] = problemsOfText(`${good}baseline: { images: ../reference }\n`);
  assert.equal(problem?.field, "baseline.images");
  parseBundle(good.replace("model.onnx", "a..b/..c/model.onnx"));
});

test("what is no YAML, or no mapping, is told with its line", () => {
  assert.match(problemsWith("width: 64,", "width: 64, [")[0]?.message ?? "", /line 1[3-5]/);
  assert.match(problemsOfText(`${good}name: again\n`)[0]?.message ?? "", /unique at line 20/);
  assert.match(problemsOfText("a:\n\t- b\n")[0]?.message ?? "", /Tabs.*line 2/);
  for (const text of ["", "- a\n", "just text", "7"]) only(problemsOfText(text), "", /must hold keys and values/);
});

test("aliases without an anchor, and those that would fill the memory, are refused", () => {
  assert.match(problemsWith("name: defects", "name: *other")[0]?.message ?? "", /alias/i);
  const bomb = [
    "a: &a [1]",
    ..."bcdef".split("").map((key, at) => `${key}: &${key} [${`*${"abcde"[at]},`.repeat(20)}]`),
  ];
  assert.match(problemsOfText(bomb.join("\n"))[0]?.message ?? "", /alias/i);
});

test("shapes agree when their sizes do, a name standing for any size", () => {
  assert.ok(fits(["n", 3, 4], [1, 3, 4]));
  assert.ok(fits([1, 3], ["n", 3]));
  assert.ok(!fits(["n", 3], ["n", 4]));
  assert.ok(!fits(["n", 3], ["n", 3, 1]));
});
