import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError, type Problem } from "../errors.js";
import { parseBundle } from "./bundle.js";
import { taskNames } from "./tasks.js";

type Parts = Readonly<Record<"tensors" | "preprocess" | "postprocess" | "expect", unknown>>;

const tensor = (name: string, ...shape: (string | number)[]) => ({ name, dtype: "float32", shape });
const image = { resize: { width: 640, height: 640, mode: "contain" } };
const picture = tensor("x", "n", 3, 640, 640);
const table = { decode: "table", columns: [{ name: "a" }, { name: "b" }] };

/** A bundle of every task that fits. */
const good: Readonly<Record<string, Parts>> = {
  "image-classification": {
    tensors: { inputs: [picture], outputs: [tensor("y", "n", 2)] },
    ...{ preprocess: image, postprocess: { labels: ["ok", "bad"] }, expect: { label: "ok" } },
  },
  "object-detection": {
    tensors: { inputs: [picture], outputs: [tensor("y", "n", 6, 8400)] },
    ...{ preprocess: image, postprocess: { format: "yolo-v8", labels: ["bolt", "nut"] } },
    expect: { objects: [{ label: "nut", box: [1, 2, 3, 4] }] },
  },
  "text-detection": {
    tensors: { inputs: [tensor("x", "n", 3, "h", "w")], outputs: [tensor("y", "n", 1, "h", "w")] },
    ...{ preprocess: { resize: { maxSide: 960, multipleOf: 32 } }, postprocess: {}, expect: { boxes: [] } },
  },
  "text-recognition": {
    tensors: { inputs: [tensor("x", "n", 3, 48, "w")], outputs: [tensor("y", "n", "t", 4)] },
    ...{
      preprocess: { resize: { height: 48, maxWidth: 640 } },
      postprocess: { characters: "abc" },
      expect: { text: "cab" },
    },
  },
  segmentation: {
    tensors: { inputs: [picture], outputs: [tensor("y", "n", 2, 160, 160)] },
    ...{ preprocess: image, postprocess: { labels: ["sky", "road"] }, expect: { shares: { sky: 1 } } },
  },
  classification: {
    tensors: { inputs: [tensor("x", "n", 2)], outputs: [tensor("y", "n", 2)] },
    ...{ preprocess: table, postprocess: { labels: ["ok", "bad"] }, expect: { label: "ok", scores: [1, 0] } },
  },
  regression: {
    tensors: { inputs: [tensor("x", "n", 2)], outputs: [tensor("y", "n", 1)] },
    ...{ preprocess: table, postprocess: { values: [{ name: "hours" }] }, expect: { values: { hours: 12 } } },
  },
  "anomaly-detection": {
    tensors: { inputs: [tensor("x", "n", 3, 2)], outputs: [tensor("y", "n", 3, 2)] },
    preprocess: { ...table, window: { rows: 3, stride: 1 } },
    ...{ postprocess: { score: "reconstruction", threshold: 0.1 }, expect: { anomaly: false } },
  },
  "audio-events": {
    tensors: {
      inputs: [tensor("x", "n", 512), tensor("s", 2, "n", 64)],
      outputs: [tensor("y", "n", 1), tensor("t", 2, "n", 64)],
    },
    preprocess: { decode: "audio", rate: 16_000, frame: { samples: 512 }, states: [{ input: "s", output: "t" }] },
    ...{ postprocess: { labels: ["speech"] }, expect: { events: [{ label: "speech", startMs: 0, endMs: 100 }] } },
  },
  raw: {
    tensors: { inputs: [tensor("x", "n", 2)], outputs: [tensor("y", "n", 2)] },
    ...{ preprocess: { decode: "tensors" }, postprocess: {}, expect: { outputs: { y: [1, 2] } } },
  },
};

function textOf(task: string, { tensors, preprocess, postprocess, expect }: Parts): string {
  const head = { task, name: "m", version: "1.0.0", variants: [{ name: "fp32", file: "m.onnx", precision: "fp32" }] };
  return JSON.stringify({ ...head, tensors, preprocess, postprocess, selfTest: { samples: [{ file: "a", expect }] } });
}

/** The problems of a task's good bundle with some parts replaced. */
function problems(task: string, changes: Partial<Parts>): readonly Problem[] {
  const parts = good[task];
  assert.ok(parts !== undefined);
  try {
    parseBundle(textOf(task, { ...parts, ...changes }));
  } catch (error) {
    assert.ok(error instanceof MusterError && error.code === "bundle/invalid", String(error));
    return error.problems;
  }
  return [];
}

/** Asserts that exactly one problem is found. */
function only(task: string, changes: Partial<Parts>, field: string, message: RegExp): void {
  const found = problems(task, changes);
  assert.deepEqual(
    found.map((problem) => problem.field),
    [field],
    `${task}: ${JSON.stringify(found)}`,
  );
  assert.match(found[0]?.message ?? "", message);
}

test("a bundle of every task is read", () => {
  assert.deepEqual(Object.keys(good).sort(), [...taskNames].sort());
  for (const [task, parts] of Object.entries(good)) {
    assert.deepEqual(problems(task, {}), [], task);
    assert.equal(parseBundle(textOf(task, parts)).task, task);
  }
});

test("each task takes its own fields and no others", () => {
  only(
    "object-detection",
    { postprocess: { format: "yolo-v8", labels: ["a", "b"], topK: 1 } },
    "postprocess.topK",
    /unknown key/,
  );
  only(
    "object-detection",
    { postprocess: { format: "yolo-v9", labels: ["bolt", "nut"] } },
    "postprocess.format",
    /yolo-v8/,
  );
  only("classification", { preprocess: { decode: "video" } }, "preprocess.decode", /image, table, audio or tensors/);
  only("audio-events", { preprocess: { decode: "table", rate: 16_000 } }, "preprocess.decode", /audio/);
  only("raw", { expect: { outputs: { z: [1] } } }, "selfTest.samples[0].expect.outputs.z", /no 'z' in tensors.outputs/);
});

test("a detector's outputs must have the shape of its format and its labels", () => {
  const outputs = (...shape: (string | number)[]) => ({
    tensors: { inputs: [picture], outputs: [tensor("y", ...shape)] },
  });
  const field = "tensors.outputs[0].shape";
  only("object-detection", outputs("n", 7, 8400), field, /expected \[n, 6, anchors\]/);
  const v5 = { format: "yolo-v5", labels: ["bolt", "nut"] };
  only("object-detection", { ...outputs("n", 8400, 6), postprocess: v5 }, field, /expected \[n, anchors, 7\]/);
  const grids = { format: "yolox", labels: ["bolt", "nut"] };
  assert.deepEqual(problems("object-detection", { ...outputs("n", 8400, 7), postprocess: grids }), []);
  only("object-detection", { ...outputs("n", 8000, 7), postprocess: grids }, field, /expected \[n, 8400, 7\]/);
  const ssd = { format: "ssd", labels: ["bolt", "nut"] };
  only("object-detection", { postprocess: ssd }, "postprocess.ssd", /name the outputs/);
  const named = { ...ssd, ssd: { boxes: "boxes", scores: "y" } };
  assert.deepEqual(
    problems("object-detection", { postprocess: named }).map(({ field: at }) => at),
    ["postprocess.ssd.boxes", "tensors.outputs[0].shape"],
  );
  only(
    "object-detection",
    { expect: { objects: [{ label: "cog", box: [0, 0, 1, 1] }] } },
    "selfTest.samples[0].expect.objects[0].label",
    /'cog' is not in/,
  );
  only(
    "object-detection",
    { expect: { objects: [{ label: "nut", box: [0, 0, 1] }] } },
    "selfTest.samples[0].expect.objects[0].box",
    /left, top, width and height/,
  );
});

test("a picture's size must be clear and fit the model's input", () => {
  const sized = (resize: object, more: object = {}) => ({ preprocess: { resize, ...more } });
  only(
    "text-detection",
    sized({ maxSide: 960, width: 9 }),
    "preprocess.resize",
    /give width and height, or height and maxWidth/,
  );
  only("text-detection", sized({ width: 640 }), "preprocess.resize", /give width and height/);
  const fixed = { inputs: [tensor("x", "n", 3, 640, 640)], outputs: [tensor("y", "n", 1, "h", "w")] };
  only("text-detection", { tensors: fixed }, "tensors.inputs[0].shape", /the size follows the picture/);
  only(
    "image-classification",
    sized(image.resize, { colour: "gray" }),
    "tensors.inputs[0].shape",
    /preprocess makes \[n, 1, 640, 640\]/,
  );
  only("image-classification", sized(image.resize, { dtype: "uint8" }), "tensors.inputs[0].dtype", /is float32/);
  const outside = { left: 0.5, top: 0, width: 0.6, height: 1 };
  only("image-classification", sized(image.resize, { region: outside }), "preprocess.region", /reaches beyond/);
  only("text-detection", sized({ maxSide: 960, mode: "contain" }), "preprocess.resize.mode", /goes with resize.width/);
  const crop = { width: 640, height: 640 };
  only("image-classification", sized(image.resize, { crop }), "preprocess.crop", /fill or cover/);
  const large = { crop: { width: 700, height: 640 } };
  assert.deepEqual(
    problems("image-classification", sized({ width: 640, height: 640 }, large)).map(({ field }) => field),
    ["preprocess.crop", "tensors.inputs[0].shape"],
  );
});

test("characters must be those of the output, less one for the blank", () => {
  only(
    "text-recognition",
    { postprocess: { characters: "abcd" } },
    "postprocess.characters",
    /4 characters and the blank, but the output has 4 classes/,
  );
  only("text-recognition", { postprocess: { characters: "abc", labels: ["a"] } }, "postprocess.characters", /either/);
});

test("columns must fill the model's inputs and not contradict themselves", () => {
  const columns = (...list: object[]) => ({ preprocess: { decode: "table", columns: list } });
  const field = "tensors.inputs[0].shape";
  only("regression", columns({ name: "a" }), field, /preprocess.columns make \[n, 1\] for 'x'/);
  assert.deepEqual(problems("regression", columns({ name: "a", categories: ["x", "y"], oneHot: true })), []);
  only("regression", columns({ name: "a" }, { name: "a" }), "preprocess.columns[1].name", /there twice/);
  only("regression", columns({ name: "a" }, { name: "b", min: 1, max: 1 }), "preprocess.columns[1]", /min below max/);
  only("regression", columns({ name: "a" }, { name: "b", mean: 1, min: 1, max: 2 }), "preprocess.columns[1]", /both/);
  only(
    "regression",
    columns({ name: "a" }, { name: "b", missing: "none" }),
    "preprocess.columns[1].missing",
    /number or nan/,
  );
  only(
    "regression",
    columns({ name: "a" }, { name: "b", categories: ["x"], missing: "y" }),
    "preprocess.columns[1].missing",
    /none of the categories/,
  );
  only(
    "regression",
    { expect: { values: { days: 1 } } },
    "selfTest.samples[0].expect.values.days",
    /not in postprocess.values \(hours\)/,
  );
});

test("every input of a model of recordings is fed", () => {
  const audio = (more: object) => ({ preprocess: { decode: "audio", rate: 16_000, frame: { samples: 512 }, ...more } });
  only("audio-events", audio({}), "tensors.inputs[1]", /'s' gets nothing/);
  const states = [{ input: "s", output: "u" }];
  only("audio-events", audio({ states }), "preprocess.states[0].output", /there is no 'u' in tensors.outputs/);
  const right = [{ input: "s", output: "t" }];
  only(
    "audio-events",
    audio({ states: right, frame: { samples: 500 } }),
    "tensors.inputs[0].shape",
    /ends in 512, but preprocess makes 500/,
  );
  assert.ok(
    problems("audio-events", audio({ states: right, frame: undefined })).some(
      ({ field }) => field === "preprocess.frame",
    ),
  );
});

test("a mask fills its picture, and a reconstruction has the shape of its input", () => {
  const mask = { width: 2, height: 2, runs: [0, 3] };
  only("segmentation", { expect: { mask } }, "selfTest.samples[0].expect.mask.runs", /fills 3 of 4 pixels/);
  only("segmentation", { expect: {} }, "selfTest.samples[0].expect", /needs shares or a mask/);
  const tensors = { inputs: [tensor("x", "n", 3, 2)], outputs: [tensor("y", "n", 6)] };
  only("anomaly-detection", { tensors }, "tensors.outputs[0].shape", /the shape of the one input, \[n, 3, 2\]/);
});

test("a task is told how exact its self-test is by default", () => {
  const limits = (task: string) => {
    const { samples: _, ...rest } = parseBundle(textOf(task, good[task] as Parts)).selfTest;
    return rest;
  };
  assert.deepEqual(limits("object-detection"), { tolerance: 0.1, minIou: 0.8 });
  assert.deepEqual(limits("audio-events"), { tolerance: 0.1, toleranceMs: 100 });
  assert.deepEqual(limits("regression"), { tolerance: 0.01 });
});
