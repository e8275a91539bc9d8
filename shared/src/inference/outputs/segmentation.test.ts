import assert from "node:assert/strict";
import { test } from "node:test";
import { SegmentationPostprocess } from "../../model/postprocess/segmentation.js";
import type { Tensors } from "../../model/tensors.js";
import type { MaskAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import type { NamedTensor } from "../named-tensor.js";
import { classesFromRuns, maskOverlap, runsOf } from "./mask.js";
import { segmentationOutput } from "./segmentation.js";

const tensors: Tensors = { inputs: [], outputs: [{ name: "y", dtype: "float32", shape: ["n", "c", "h", "w"] }] };
const none: DecodedInput = { kind: "tensors", tensors: [] };
const read = (spec: object, shape: number[], numbers: number[], input: DecodedInput = none) => {
  const output: NamedTensor = { name: "y", dtype: "float32", shape, data: Float32Array.from(numbers) };
  const side = segmentationOutput(SegmentationPostprocess.parse({ labels: ["sky", "road"], ...spec }), tensors);
  const reading = side.read([[output]], input);
  return { ...reading, answer: reading.answer as MaskAnswer };
};

test("the class with the highest score wins each pixel, channels first or last", () => {
  const first = read({}, [1, 2, 2, 2], [1, 1, 0, 0, 0, 2, 1, 1]).answer;
  assert.deepEqual(first, { shares: { sky: 0.25, road: 0.75 }, mask: { width: 2, height: 2, runs: [0, 1, 1, 3] } });
  const last = read({ layout: "nhwc" }, [1, 2, 2, 2], [1, 0, 1, 2, 0, 1, 0, 1]).answer;
  assert.deepEqual(last, first);
});

test("a map is cut at its threshold, with or without the logistic function", () => {
  const threshold = { format: "threshold", threshold: 0.7 };
  assert.deepEqual(read(threshold, [1, 1, 1, 3], [0.6, 0.71, 0.9]).answer.mask.runs, [0, 1, 1, 2]);
  // The logistic function is 0.7 at 0.8473.
  assert.deepEqual(
    read({ ...threshold, sigmoid: true }, [1, 1, 3], [0.84, 0.85, -3]).answer.mask.runs,
    [0, 1, 1, 1, 0, 1],
  );
  assert.deepEqual(read({ format: "classes" }, [1, 1, 4], [1, 0, 0, 9]).answer.mask.runs, [1, 1, 0, 2, 1, 1]);
});

test("padding is no part of the mask", () => {
  const placement = {
    picture: { width: 8, height: 4 },
    tensor: { width: 4, height: 4 },
    from: { left: 0, top: 0, width: 8, height: 4 },
    to: { left: 0, top: 1, width: 4, height: 2 },
  };
  const input: DecodedInput = { kind: "image", data: new Uint8Array(48), width: 4, height: 4, placement };
  const map = [1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1];
  const { answer, label, features } = read({ format: "classes" }, [1, 4, 4], map, input);
  assert.deepEqual(answer.mask, { width: 4, height: 2, runs: [0, 3, 1, 1, 0, 4] });
  assert.deepEqual([label, features["share.road"]], ["sky", 0.125]);
});

test("runs are the mask again, and masks are compared class by class", () => {
  const classes = Uint8Array.of(0, 0, 1, 1, 2, 0);
  assert.deepEqual(classesFromRuns({ width: 3, height: 2, runs: runsOf(classes) }), classes);
  // Class 0: 2 of 3, class 1: 1 of 2, class 2: 1 of 2.
  assert.equal(maskOverlap(classes, Uint8Array.of(0, 0, 1, 2, 2, 0)), (1 + 1 / 2 + 1 / 2) / 3);
  assert.equal(maskOverlap(classes, Uint8Array.of(0, 1, 1, 1, 2, 0)), (2 / 3 + 2 / 3 + 1) / 3);
});

test("a self-test holds shares and mask against what was found", () => {
  const { fault } = read({ format: "classes" }, [1, 1, 4], [1, 0, 0, 0]);
  const limits = { tolerance: 0.1, minIou: 0.8 };
  const mask = { width: 4, height: 1, runs: [1, 1, 0, 3] };
  assert.equal(fault({ shares: { road: 0.3 }, mask }, limits), undefined);
  assert.match(fault({ shares: { road: 0.5 } }, limits) ?? "", /'road' covers 0\.250 of the picture, expected 0\.500/);
  assert.match(fault({ mask: { ...mask, runs: [1, 2, 0, 2] } }, limits) ?? "", /overlaps the expected one by 0\.583/);
  assert.match(fault({ mask: { ...mask, width: 2, height: 2 } }, limits) ?? "", /4×1 pixels, expected 2×2/);
});
