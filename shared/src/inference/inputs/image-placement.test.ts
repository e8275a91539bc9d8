import assert from "node:assert/strict";
import { test } from "node:test";
import { ImagePreprocess } from "../../model/preprocess/image.js";
import { placeImage, toPicture, usualSize } from "./image-placement.js";

const spec = (resize: object, more: object = {}) => ImagePreprocess.parse({ resize, ...more });
const photo = { width: 1920, height: 1080 };

test("contain puts the picture in the middle, or at the start, and points go back to where they were", () => {
  const middle = placeImage(spec({ width: 640, height: 640, mode: "contain" }), photo);
  assert.deepEqual(middle.to, { left: 0, top: 140, width: 640, height: 360 });
  assert.deepEqual(toPicture(middle, 320, 320), [960, 540]);
  assert.deepEqual(toPicture(middle, 0, 0), [0, 0], "what lies over padding is kept within the picture");
  assert.deepEqual(toPicture(middle, 640, 500), [1920, 1080]);
  const start = placeImage(spec({ width: 640, height: 640, mode: "contain", align: "start" }), photo);
  assert.deepEqual([start.to.left, start.to.top], [0, 0]);
  assert.deepEqual(toPicture(start, 320, 180), [960, 540]);
});

test("cover uses the middle that has the ratio of the tensor", () => {
  const placement = placeImage(spec({ width: 224, height: 224, mode: "cover" }), photo);
  assert.deepEqual(placement.from, { left: 420, top: 0, width: 1080, height: 1080 });
  assert.deepEqual(toPicture(placement, 112, 112), [960, 540]);
});

test("a crop takes the middle of the resized picture", () => {
  const placement = placeImage(spec({ width: 256, height: 256 }, { crop: { width: 224, height: 192 } }), photo);
  assert.deepEqual(placement.tensor, { width: 224, height: 192 });
  assert.deepEqual(placement.to, { left: -16, top: -32, width: 256, height: 256 });
  assert.deepEqual(toPicture(placement, 112, 96), [960, 540]);
});

test("a region is looked at alone, and points come back in the whole picture", () => {
  const region = { left: 0.5, top: 0.25, width: 0.25, height: 0.5 };
  const placement = placeImage(spec({ width: 100, height: 100 }, { region }), photo);
  assert.deepEqual(placement.from, { left: 960, top: 270, width: 480, height: 540 });
  assert.deepEqual(toPicture(placement, 50, 50), [1200, 540]);
});

test("sides that follow the picture keep its ratio, in steps, within the limit, and never enlarge", () => {
  const limit = spec({ maxSide: 960, multipleOf: 32 });
  assert.deepEqual(placeImage(limit, photo).tensor, { width: 960, height: 544 });
  assert.deepEqual(placeImage(limit, { width: 300, height: 200 }).tensor, { width: 288, height: 192 });
  assert.deepEqual(placeImage(limit, { width: 30_000, height: 1 }).tensor, { width: 960, height: 32 });
  const line = spec({ height: 48, maxWidth: 320 });
  assert.deepEqual(placeImage(line, { width: 200, height: 100 }).tensor, { width: 96, height: 48 });
  assert.deepEqual(placeImage(line, { width: 9000, height: 100 }).tensor, { width: 320, height: 48 });
  assert.deepEqual(usualSize(limit), { width: 640, height: 640 });
  assert.deepEqual(usualSize(line), { width: 288, height: 48 });
});

test("a picture of one row or one pixel has a place, too", () => {
  for (const size of [
    { width: 1, height: 1 },
    { width: 30_000, height: 1 },
    { width: 1, height: 30_000 },
  ]) {
    for (const mode of ["fill", "contain", "cover"]) {
      const { from, to } = placeImage(spec({ width: 64, height: 32, mode }), size);
      for (const side of [from.width, from.height, to.width, to.height]) assert.ok(side >= 1, `${mode} ${side}`);
      assert.ok(from.left + from.width <= size.width && from.top + from.height <= size.height);
    }
  }
});
