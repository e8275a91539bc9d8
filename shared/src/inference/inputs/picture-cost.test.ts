import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { heldBytes } from "./picture-cost.js";

const [width, height] = [70, 30];
const picture = (channels: 3 | 4 = 3) =>
  sharp({ create: { width, height, channels, background: { r: 9, g: 90, b: 200, alpha: 0.5 } } });

test("what is decoded line by line holds nothing, what is not holds as many bytes as it has samples", async () => {
  const pixels = width * height;
  const cases: [string, Promise<Buffer>, number][] = [
    ["baseline JPEG", picture().jpeg().toBuffer(), 0],
    ["progressive JPEG", picture().jpeg({ progressive: true }).toBuffer(), pixels * 3 * 2],
    ["PNG", picture().png().toBuffer(), 0],
    ["interlaced PNG", picture().png({ progressive: true }).toBuffer(), pixels * 3],
    ["interlaced PNG of 16 bits", picture(4).toColourspace("rgb16").png({ progressive: true }).toBuffer(), pixels * 8],
    ["lossy WebP", picture().webp().toBuffer(), pixels * 4],
    ["lossless WebP", picture().webp({ lossless: true }).toBuffer(), pixels * 4],
    ["WebP with alpha", picture(4).webp().toBuffer(), pixels * 4],
  ];
  for (const [name, bytes, held] of cases) assert.equal(heldBytes(await bytes), held, name);
});

test("a header that is cut off anywhere or holds nonsense ends nothing", async () => {
  for (const bytes of [
    await picture().jpeg({ progressive: true }).toBuffer(),
    await picture().png({ progressive: true }).toBuffer(),
    await picture().webp().toBuffer(),
  ]) {
    for (let length = 0; length < Math.min(bytes.length, 700); length += 1) heldBytes(bytes.subarray(0, length));
  }
  assert.equal(heldBytes(new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0])), 0);
  assert.equal(heldBytes(new Uint8Array(100).fill(0xff)), 0);
});
