import { ImagePreprocess } from "@muster/shared";
import { imageTensor, type Pixels } from "@muster/shared/inference";
import { type Comparison, comparisonText, timesOf } from "./measure.js";

/** From pixels to a tensor, beside the loop one would write first. */
export async function benchPreprocess(): Promise<string> {
  const rows: Comparison[] = [];
  for (const [width, height] of [
    [192, 48],
    [224, 224],
    [640, 640],
  ] as const) {
    for (const layout of ["nchw", "nhwc"] as const) {
      const resize = { width, height };
      const spec = ImagePreprocess.parse({ resize, layout, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
      const pixels = { ...resize, data: new Uint8Array(width * height * 3).map((_, at) => at * 7) };
      const rounds = 200;
      const { ours, plain } = await timesOf(
        rounds,
        () => imageTensor(pixels, spec),
        () => naiveTensor(pixels, spec),
      );
      rows.push({ what: `${width}×${height}, ${layout}`, ours, plain, unit: "ms" });
    }
  }
  return comparisonText("pixels → float32 tensor, normalised per channel", "naive loop", rows);
}

function naiveTensor({ data, width, height }: Pixels, spec: ImagePreprocess): Float32Array {
  const tensor = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < 3; c += 1) {
        const value = ((data[(y * width + x) * 3 + c] ?? 0) * spec.scale - (spec.mean[c] ?? 0)) / (spec.std[c] ?? 1);
        const at = spec.layout === "nchw" ? (c * height + y) * width + x : (y * width + x) * 3 + c;
        tensor[at] = value;
      }
    }
  }
  return tensor;
}
