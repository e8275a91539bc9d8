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

test("YOLO v8 outputs whose anchors come first are read row by row", () => {
  const rows = [
    [50, 50, 20, 10, 0.1, 0.8],
    [10, 10, 5, 5, 0.1, 0.2],
    [51, 50, 20, 10, 0.2, 0.7],
  ];
  assert.deepEqual(rounded(read({ format: "yolo-v8" }, [tensor("y", [1, 3, 6], rows.flat())])), [expected]);
  const other = tensor("y", [1, 3, 7], new Array<number>(21).fill(0));
  assert.throws(() => read({ format: "yolo-v8" }, [other]), { code: "tensor/invalid", message: /\[1, 3, 7\].*\[n, 6/ });
});

test("YOLOX outputs are cells of grids, and another number of them is an error", () => {
  // 100 pixels are 2×2 cells of 50 and one of 100. Cell 3 begins at 50, 50, and its centre lies at its corner.
  const anchors = [0, 1, 2, 3, 4].map((cell) =>
    cell === 3 ? [0, 0, Math.log(20 / 50), Math.log(10 / 50), 0.9, 0.1, 0.8 / 0.9] : [0, 0, 0, 0, 0.1, 0, 0],
  );
  const spec = { format: "yolox", strides: [50, 100] };
  assert.deepEqual(rounded(read(spec, [tensor("y", [1, 5, 7], anchors.flat())])), [expected]);
  // The first cell of the second grid: 100 pixels each way, around the middle.
  anchors[3] = [0, 0, 0, 0, 0, 0, 0];
  anchors[4] = [0.5, 0.5, Math.log(0.2), Math.log(0.1), 0.9, 0.1, 0.8 / 0.9];
  assert.deepEqual(rounded(read(spec, [tensor("y", [1, 5, 7], anchors.flat())])), [expected]);
  assert.throws(() => read({ format: "yolox" }, [tensor("y", [1, 5, 7], anchors.flat())]), {
    code: "tensor/invalid",
    message: /strides 8, 16, 32 make 189 cells of 100×100 pixels, but the model gave 5/,
  });
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
  const numbered = [
    [0, 40, 45, 60, 55, 1, 0.8],
    [0, 41, 45, 61, 55, 1, 0.7],
  ];
  assert.deepEqual(rounded(read({ format: "end-to-end" }, [tensor("y", [2, 7], numbered.flat())])), objects);
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

test("the outputs of a transformer are read: centre and size, logits, and a class for no object", () => {
  const boxes = tensor("boxes", [1, 2, 4], [0.5, 0.5, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]);
  const ssd = { boxes: "boxes", scores: "scores", order: "centre-size" };
  const logit = Math.log(0.8 / 0.2);
  const sigmoids = tensor("scores", [1, 2, 2], [-5, logit, -5, -3]);
  assert.deepEqual(rounded(read({ format: "ssd", ssd: { ...ssd, activation: "sigmoid" } }, [boxes, sigmoids])), [
    expected,
  ]);
  const shares = [0.05, 0.8, 0.15, 0.01, 0.01, 0.98].map((share) => Math.log(share) + 7);
  const withNothing = { ...ssd, activation: "softmax", noObject: true };
  const softmax = tensor("scores", [1, 2, 3], shares);
  assert.deepEqual(rounded(read({ format: "ssd", ssd: withNothing }, [boxes, softmax])), [expected]);
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
