import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../testing/seeded-random.js";
import { imageFeatures } from "./image-features.js";

type Colour = readonly [number, number, number];

function features(width: number, height: number, colour: (x: number, y: number) => Colour) {
  const pixels = Array.from({ length: width * height }, (_, at) => colour(at % width, Math.floor(at / width)));
  return imageFeatures({ data: Uint8Array.from(pixels.flat()), width, height });
}

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-4, `${actual}, expected ${expected}`);

test("a plain picture has its brightness and nothing else", () => {
  for (const grey of [0, 100, 255]) {
    const { brightness, contrast, sharpness, saturation } = features(8, 6, () => [grey, grey, grey]);
    near(brightness, grey / 255);
    for (const nothing of [contrast, sharpness, saturation]) near(nothing, 0);
  }
});

test("brightness weighs the colours as the eye does", () => {
  near(features(4, 4, () => [255, 0, 0]).brightness, 0.299);
  near(features(4, 4, () => [0, 255, 0]).brightness, 0.587);
  near(features(4, 4, () => [0, 0, 255]).brightness, 0.114);
});

test("saturation is the mean share of colour", () => {
  near(features(4, 4, () => [255, 0, 0]).saturation, 1);
  near(features(4, 4, () => [200, 100, 100]).saturation, 0.5);
  near(features(4, 4, (x) => (x < 2 ? [255, 0, 0] : [80, 80, 80])).saturation, 0.5);
});

test("a chequerboard has the greatest contrast and sharpness", () => {
  const { brightness, contrast, sharpness } = features(8, 8, (x, y) =>
    (x + y) % 2 === 0 ? [255, 255, 255] : [0, 0, 0],
  );
  near(brightness, 0.5);
  near(contrast, 0.5);
  near(sharpness, 4); // Every pixel differs from all four neighbours by the full range.
});

test("an even slope has contrast but no sharpness; blur takes sharpness away", () => {
  const slope = features(50, 10, (x) => [x * 5, x * 5, x * 5]);
  near(slope.sharpness, 0);
  assert.ok(slope.contrast > 0.2);
  const random = seededRandom(4);
  const noise = Array.from({ length: 32 }, () => Array.from({ length: 32 }, () => Math.floor(random() * 256)));
  const at = (x: number, y: number) => noise[y]?.[x] ?? 0;
  const sharp = features(31, 31, (x, y) => [at(x, y), at(x, y), at(x, y)]);
  const blurred = features(31, 31, (x, y) => {
    const mean = Math.round((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4);
    return [mean, mean, mean];
  });
  assert.ok(blurred.sharpness < sharp.sharpness / 2);
  assert.ok(Math.abs(blurred.brightness - sharp.brightness) < 0.02);
});

test("pictures too small to have an inside are no fault", () => {
  for (const [width, height] of [
    [1, 1],
    [2, 2],
    [1, 9],
    [9, 1],
  ] as const) {
    assert.equal(features(width, height, () => [9, 9, 9]).sharpness, 0);
  }
});
