import assert from "node:assert/strict";
import { test } from "node:test";
import { boxesFault, overlap } from "./boxes.js";

test("the overlap of boxes is their intersection over their union", () => {
  assert.equal(overlap([0, 0, 10, 10], [5, 0, 15, 10]), 50 / 150);
  assert.equal(overlap([0, 0, 10, 10], [0, 0, 10, 10]), 1);
  assert.equal(overlap([0, 0, 10, 10], [2, 2, 4, 4]), 4 / 100);
  assert.equal(overlap([0, 0, 10, 10], [10, 0, 20, 10]), 0);
  assert.equal(overlap([5, 5, 5, 5], [5, 5, 5, 5]), 0);
});

const box = (left: number, top: number, width: number, height: number) => ({ left, top, width, height });
const limits = { tolerance: 0.1, minIou: 0.5, threshold: 0.25 };
const found = [
  { label: "bolt", confidence: 0.9, box: box(0, 0, 10, 10) },
  { label: "nut", confidence: 0.8, box: box(20, 20, 10, 10) },
];
const bolt = { label: "bolt", box: [1, 0, 10, 10] };
const nut = { label: "nut", box: [20, 20, 10, 10], confidence: 0.85 };

test("a self-test finds every expected box with its label, overlap and confidence", () => {
  assert.equal(boxesFault(found, [nut, bolt], limits), undefined);
  assert.match(
    boxesFault(found, [bolt, { ...nut, box: [26, 20, 10, 10] }], limits) ?? "",
    /'nut' 2 .* overlaps by 0\.25/,
  );
  assert.match(boxesFault(found, [bolt, { ...nut, label: "gear" }], limits) ?? "", /'gear' 2 .* none was found/);
  assert.match(
    boxesFault(found, [bolt, { ...nut, confidence: 0.6 }], limits) ?? "",
    /confidence 0\.800, expected 0\.600/,
  );
});

test("a box too many is a fault, unless it may just as well not be there", () => {
  assert.match(boxesFault(found, [bolt], limits) ?? "", /found nut at \[20, 20, 10, 10\] .* not expected/);
  const faint = { label: "nut", confidence: 0.3, box: box(50, 50, 5, 5) };
  assert.equal(boxesFault([...found, faint], [bolt, nut], limits), undefined);
  assert.match(boxesFault(found, [bolt, bolt, nut], limits) ?? "", /'bolt' 2 .* none was found/);
});
