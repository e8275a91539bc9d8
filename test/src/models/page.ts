import sharp from "sharp";
import { fontFamily, useBundledFonts, xmlText } from "../fixtures/fonts.js";

/** A line of text; `x` and `y` are where it begins, `turn` degrees. */
export interface Line {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly size: number;
  readonly turn?: number;
}

/** A grey page with lines of text on it, as PNG. */
export async function page(width: number, height: number, lines: readonly Line[]): Promise<Buffer> {
  await useBundledFonts();
  const texts = lines.map(
    ({ text, x, y, size, turn = 0 }) =>
      `<text x="${x}" y="${y}" font-family="${fontFamily}" font-size="${size}" fill="#222" transform="rotate(${turn} ${x} ${y})">${xmlText(text)}</text>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#e8e8e4"/>${texts.join("")}</svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}
