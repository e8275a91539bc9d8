import type { Pixels } from "./sharp-image.js";

/** What drift of pictures is watched by. */
export const imageFeatureNames = ["brightness", "contrast", "sharpness", "saturation"] as const;
export type ImageFeatures = Record<(typeof imageFeatureNames)[number], number>;

/**
 * Features of a resized picture: brightness is mean luma / 255 (Rec. 601), contrast its standard
 * deviation / 255, sharpness the root mean square of the Laplacian / 255 (focus measure; Pech-Pacheco
 * et al., ICPR 2000), saturation the mean of (max − min) / max over R, G, B.
 */
export function imageFeatures({ data, width, height }: Pixels): ImageFeatures {
  const pixels = width * height;
  const luma = new Float32Array(pixels);
  let sum = 0;
  let squares = 0;
  let saturation = 0;
  for (let at = 0; at < pixels; at += 1) {
    const r = data[at * 3] ?? 0;
    const g = data[at * 3 + 1] ?? 0;
    const b = data[at * 3 + 2] ?? 0;
    const y = 0.299 * r + 0.587 * g + 0.114 * b;
    luma[at] = y;
    sum += y;
    squares += y * y;
    const most = Math.max(r, g, b);
    if (most > 0) saturation += (most - Math.min(r, g, b)) / most;
  }
  const mean = sum / pixels;
  return {
    brightness: mean / 255,
    contrast: Math.sqrt(Math.max(0, squares / pixels - mean * mean)) / 255,
    sharpness: laplacianRms(luma, width, height) / 255,
    saturation: saturation / pixels,
  };
}

function laplacianRms(luma: Float32Array, width: number, height: number): number {
  let squares = 0;
  for (let y = 1; y < height - 1; y += 1) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at += 1) {
      const around = (luma[at - 1] ?? 0) + (luma[at + 1] ?? 0) + (luma[at - width] ?? 0) + (luma[at + width] ?? 0);
      squares += (around - 4 * (luma[at] ?? 0)) ** 2;
    }
  }
  return Math.sqrt(squares / Math.max(1, (width - 2) * (height - 2)));
}
