import assert from "node:assert/strict";
import { test } from "node:test";
import { DetectionPostprocess } from "../../model/postprocess/detection.js";
import { ImagePreprocess } from "../../model/preprocess/image.js";
import type { Tensors } from "../../model/tensors.js";
import type { ObjectsAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import { placeImage } from "../inputs/image-placement.js";
import type { NamedTensor } from "../named-tensor.js";
import { detectionOutput } from "./detection.js";

/** A picture of 200×100 in a tensor of 100×100: half the size, 25 pixels of padding above and below. */
const placement = placeImage(ImagePreprocess.parse({ resize: { width: 100, height: 100, mode: "contain" } }), {
  width: 200,
  height: 100,
});
const input: DecodedInput = { kind: "image", data: new Uint8Array(30_000), width: 100, height: 100, placement };
const tensor = (name: string, shape: number[], numbers: number[]): NamedTensor => {
  return { name, dtype: "float32", shape, data: Float32Array.from(numbers) };
};
const tensors: Tensors = {
  inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 100, 100] }],
  outputs: [{ name: "y", dtype: "float32", shape: ["n", "a", "b"] }],
};
const read = (spec: object, outputs: NamedTensor[], from: DecodedInput = input) => {
  const parsed = DetectionPostprocess.parse({ labels: ["bolt", "nut"], ...spec });
  return detectionOutput(parsed, tensors).read([outputs], from);
};
const rounded = ({ answer }: { answer: unknown }) =>
  (answer as ObjectsAnswer).objects.map(({ label, confidence, box: { left, top, width, height } }) => {
    return [label, Math.round(confidence * 100), ...[left, top, width, height].map(Math.round)];
  });
/** Centre 50, 50 with 20×10 in the tensor is 80..120 × 40..60 in the picture. */
const expected = ["nut", 80, 80, 40, 40, 20];

test("YOLO v8 outputs are read column by column and mapped back to the picture", () => {
  // Three anchors: a nut, the same nut a little off with a lower score, and nothing.
  const rows = [
    [50, 51, 10],
    [50, 50, 10],
    [20, 20, 5],
    [10, 10, 5],
    [0.1, 0.2, 0.1],
    [0.8, 0.7, 0.2],
  ];
  const reading = read({ format: "yolo-v8" }, [tensor("y", [1, 6, 3], rows.flat())]);
  assert.deepEqual(rounded(reading), [expected]);
  assert.equal(reading.label, "nut");
  assert.ok(Math.abs(Number(reading.features.confidence) - 0.8) < 1e-6);
  assert.equal(reading.features.objects, 1);
});

test("YOLO v5 scores are objectness × class score", () => {
  const anchors = [
    [50, 50, 20, 10, 0.9, 0.1, 0.8 / 0.9],
    [10, 10, 5, 5, 0.5, 0.4, 0.3],
  ];
  const output = tensor("y", [1, 2, 7], anchors.flat());
  assert.deepEqual(rounded(read({ format: "yolo-v5" }, [output])), [expected]);
  assert.equal(rounded(read({ format: "yolo-v5", threshold: 0.19 }, [output])).length, 2);
});

test("end-to-end outputs are taken as they come", () => {
  const found = [
    [40, 45, 60, 55, 0.8, 1],
    [41, 45, 61, 55, 0.7, 1],
    [0, 0, 0, 0, 0, 0],
    [0, 0, 9, 9, 0.9, 7],
  ];
  const objects = rounded(read({ format: "end-to-end" }, [tensor("y", [1, 4, 6], found.flat())]));
  assert.deepEqual(objects, [expected, ["nut", 70, 82, 40, 40, 20]]);
});

test("SSD outputs are read with and without an output of classes", () => {
  const boxes = tensor("boxes", [1, 2, 4], [0.45, 0.4, 0.55, 0.6, 0, 0, 0.1, 0.1]);
  const ssd = { boxes: "boxes", scores: "scores", order: "top-left-bottom-right" };
  const numbered = [boxes, tensor("scores", [1, 2], [0.8, 0.1]), tensor("classes", [1, 2], [2, 1])];
  assert.deepEqual(rounded(read({ format: "ssd", ssd: { ...ssd, classes: "classes", firstClass: 1 } }, numbered)), [
    expected,
  ]);
  const scored = [boxes, tensor("scores", [1, 2, 3], [0.1, 0.1, 0.8, 0.9, 0.05, 0.05])];
  assert.deepEqual(rounded(read({ format: "ssd", ssd: { ...ssd, firstClass: 1 } }, scored)), [expected]);
  const pixels = [tensor("boxes", [1, 1, 4], [40, 45, 60, 55]), tensor("scores", [1, 1, 2], [0.1, 0.8])];
  const inPixels = { boxes: "boxes", scores: "scores", relative: false };
  assert.deepEqual(rounded(read({ format: "ssd", ssd: inPixels }, pixels)), [expected]);
});

test("a picture of nothing has the class none, and a client's own tensor keeps its coordinates", () => {
  const empty = read({ format: "end-to-end" }, [tensor("y", [1, 0, 6], [])]);
  assert.deepEqual(
    [empty.answer, empty.label, empty.features],
    [{ objects: [] }, "none", { objects: 0, confidence: 0, class: "none" }],
  );
  const own = read({ format: "end-to-end" }, [tensor("y", [1, 1, 6], [40, 45, 60, 55, 0.8, 1])], {
    kind: "tensors",
    tensors: [],
  });
  assert.deepEqual(rounded(own), [["nut", 80, 40, 45, 20, 10]]);
});

test("a broken provider is no empty picture", () => {
  const broken = tensor("y", [1, 1, 6], new Array<number>(6).fill(Number.NaN));
  assert.throws(() => read({ format: "end-to-end" }, [broken]), { code: "engine/failed", message: /not a number/ });
});
