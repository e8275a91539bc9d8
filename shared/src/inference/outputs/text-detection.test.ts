import assert from "node:assert/strict";
import { test } from "node:test";
import { TextDetectionPostprocess } from "../../model/postprocess/text-detection.js";
import type { Tensors } from "../../model/tensors.js";
import type { TextBoxesAnswer } from "../answer.js";
import { regionsOf } from "./regions.js";
import { textDetectionOutput } from "./text-detection.js";

const [width, height] = [40, 20];
/** A map with a rectangle of one probability, left, top, right, bottom. */
function mapWith(...areas: [number, number, number, number, number][]): Float32Array<ArrayBuffer> {
  const map = new Float32Array(width * height);
  for (const [left, top, right, bottom, value] of areas) {
    for (let y = top; y < bottom; y += 1) map.fill(value, y * width + left, y * width + right);
  }
  return map;
}
const tensors: Tensors = { inputs: [], outputs: [{ name: "y", dtype: "float32", shape: ["n", 1, "h", "w"] }] };
const read = (map: Float32Array<ArrayBuffer>, spec: object = {}) => {
  const side = textDetectionOutput(TextDetectionPostprocess.parse(spec), tensors);
  const output = { name: "y", dtype: "float32", shape: [1, 1, height, width], data: map } as const;
  return side.read([[output]], { kind: "tensors", tensors: [] });
};
const boxes = (map: Float32Array<ArrayBuffer>, spec: object = {}) => (read(map, spec).answer as TextBoxesAnswer).boxes;

test("neighbouring pixels are one region, also across corners", () => {
  const map = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1);
  const found = regionsOf(map, { width: 4, height: 3 }, 0.5, 10);
  assert.deepEqual(
    found.map(({ pixels }) => pixels),
    [2, 2],
  );
  assert.equal(regionsOf(map, { width: 4, height: 3 }, 0.5, 1).length, 1);
});

test("a line is found where the map is bright, and grows as it was shrunk", () => {
  // 20×4 grows by 80 × 1.5 / 48 = 2.5 on every side.
  const [line] = boxes(mapWith([10, 8, 30, 12, 0.9]));
  assert.deepEqual(line?.box, { left: 7.5, top: 5.5, width: 25, height: 9 });
  assert.ok(Math.abs((line?.confidence ?? 0) - 0.9) < 1e-6);
  assert.deepEqual(line?.corners[0], [7.5, 5.5]);
});

test("faint and tiny regions are left out, and lines come from top to bottom", () => {
  const map = mapWith([2, 14, 12, 18, 0.9], [2, 2, 12, 6, 0.8], [20, 2, 30, 6, 0.5], [20, 14, 22, 16, 1]);
  const found = boxes(map, { grow: 0 });
  assert.deepEqual(
    found.map(({ box }) => box.top),
    [2, 14],
  );
  assert.equal(boxes(map, { grow: 0, boxThreshold: 0.4, minSide: 1 }).length, 4);
  assert.deepEqual(read(map).features.objects, 2);
});
