import type { ImagePreprocess } from "../model/pipeline.js";
import type { Pixels } from "./sharp-image.js";

/** The shape of the tensor one picture becomes, batch of one: `[1, 3, h, w]` or `[1, h, w, 3]`. */
export function imageShape(spec: ImagePreprocess): number[] {
  const { width, height } = spec.resize;
  return spec.layout === "nchw" ? [1, 3, height, width] : [1, height, width, 3];
}

/** The picture as the model's input: colour order, scale, mean, std and layout of the pipeline; float32. */
export function imageTensor({ data, width, height }: Pixels, spec: ImagePreprocess): Float32Array<ArrayBuffer> {
  const pixels = width * height;
  const tensor = new Float32Array(pixels * 3);
  const [step, plane] = spec.layout === "nchw" ? [1, pixels] : [3, 1];
  for (let c = 0; c < 3; c += 1) {
    const from = spec.colour === "rgb" ? c : 2 - c;
    const table = valueTable(spec, c);
    for (let at = 0; at < pixels; at += 1) {
      tensor[at * step + c * plane] = table[data[at * 3 + from] ?? 0] ?? 0;
    }
  }
  return tensor;
}

/** What each of the 256 byte values becomes in channel c; a look-up is cheaper than the arithmetic per pixel. */
function valueTable(spec: ImagePreprocess, c: number): Float32Array {
  const mean = spec.mean[c] ?? 0;
  const std = spec.std[c] ?? 1;
  return Float32Array.from({ length: 256 }, (_, value) => (value * spec.scale - mean) / std);
}
