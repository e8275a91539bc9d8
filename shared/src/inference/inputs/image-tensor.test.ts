import assert from "node:assert/strict";
import { test } from "node:test";
import { ImagePreprocess } from "../../model/preprocess/image.js";
import { seededRandom } from "../../testing/seeded-random.js";
import { imageShape, imageTensor } from "./image-tensor.js";
import type { Pixels } from "./sharp-image.js";

const random = seededRandom(21);

function picture(width: number, height: number): Pixels {
  const data = Uint8Array.from({ length: width * height * 3 }, () => Math.floor(random() * 256));
  return { data, width, height };
}

/** The formula of the pipeline, pixel by pixel. */
function naive({ data, width, height }: Pixels, spec: ImagePreprocess): number[] {
  const tensor: number[] = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < 3; c += 1) {
        const value = data[(y * width + x) * 3 + (spec.colour === "rgb" ? c : 2 - c)] ?? Number.NaN;
        const at = spec.layout === "nchw" ? (c * height + y) * width + x : (y * width + x) * 3 + c;
        tensor[at] = Math.fround((value * spec.scale - (spec.mean[c] ?? 0)) / (spec.std[c] ?? 1));
      }
    }
  }
  return tensor;
}

for (const colour of ["rgb", "bgr"] as const) {
  for (const layout of ["nchw", "nhwc"] as const) {
    test(`the tensor of a picture is what the pipeline says: ${colour}, ${layout}`, () => {
      for (const [width, height] of [
        [1, 1],
        [5, 3],
        [2, 7],
      ] as const) {
        for (const numbers of [{}, { scale: 1, mean: [103.9, 116.8, 123.7], std: [57, 58, 59] }]) {
          const spec = ImagePreprocess.parse({ colour, layout, resize: { width, height }, ...numbers });
          const pixels = picture(width, height);
          const wanted = naive(pixels, spec);
          for (const [at, value] of (imageTensor(pixels, spec) as Float32Array).entries()) {
            assert.ok(Math.abs(value - (wanted[at] ?? Number.NaN)) < 1e-6, `${at}: ${value} ${wanted[at]}`);
          }
        }
      }
    });
  }
}

test("the shape is that of a batch of one in the layout asked for", () => {
  const spec = (layout: string) => ImagePreprocess.parse({ layout, resize: { width: 640, height: 480 } });
  assert.deepEqual(imageShape(spec("nchw"), { width: 640, height: 480 }), [1, 3, 480, 640]);
  assert.deepEqual(imageShape(spec("nhwc"), { width: 640, height: 480 }), [1, 480, 640, 3]);
});

test("whole numbers are rounded and kept within their type, half precision is stored as bits", () => {
  const pixels = { data: Uint8Array.of(0, 128, 255), width: 1, height: 1 };
  const made = (more: object) => {
    const resize = { width: 1, height: 1 };
    return Array.from(imageTensor(pixels, ImagePreprocess.parse({ resize, ...more })) as Uint16Array);
  };
  assert.deepEqual(made({ dtype: "uint8", scale: 1 }), [0, 128, 255]);
  const asIs = ImagePreprocess.parse({ resize: { width: 1, height: 1 }, dtype: "uint8", scale: 1, layout: "nhwc" });
  assert.equal(imageTensor(pixels, asIs), pixels.data, "a picture that is the tensor already is not copied");
  assert.deepEqual(made({ dtype: "uint8", scale: 2, mean: [1, 1, 1] }), [0, 255, 255]);
  assert.deepEqual(made({ dtype: "int8", scale: 1, mean: [128, 128, 128] }), [-128, 0, 127]);
  assert.deepEqual(made({ dtype: "float16", scale: 1 / 255, colour: "bgr" }), [0x3c00, 0x3804, 0]);
});

test("grey is the luma of Rec. 601, in one channel", () => {
  const pixels = { data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30), width: 2, height: 2 };
  const spec = ImagePreprocess.parse({ resize: { width: 2, height: 2 }, colour: "gray", scale: 1, dtype: "uint8" });
  assert.deepEqual(imageShape(spec, pixels), [1, 1, 2, 2]);
  assert.deepEqual(Array.from(imageTensor(pixels, spec) as Uint8Array), [76, 150, 29, 18]);
});
