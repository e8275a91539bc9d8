import { MusterError } from "../../errors.js";
import { cellsOf } from "../../model/postprocess/detection.js";
import { type BoxAt, fromCentre, type Size } from "./candidate-box.js";

/**
 * Boxes of YOLOX, whose anchors are the cells of one grid per stride, row by row: the centre is (cell + x, y) × stride, the
 * sides are e^w and e^h × stride (Ge et al., 2021). Throws `tensor/invalid` when the grids do not have that many anchors.
 */
export function gridBoxes(strides: readonly number[], { width, height }: Size, anchors: number): BoxAt {
  const cells = cellsOf(strides, width, height);
  if (cells !== anchors) {
    const message = `strides ${strides.join(", ")} make ${cells} cells of ${width}×${height} pixels, but the model gave ${anchors}`;
    throw new MusterError("tensor/invalid", message);
  }
  let first = 0;
  const grids = strides.map((stride) => {
    const [columns, from] = [Math.floor(width / stride), first];
    first += columns * Math.floor(height / stride);
    return { stride, columns, from, to: first };
  });
  return (numbers, anchor) => {
    const { stride, columns, from } = grids.find(({ to }) => anchor < to) ?? { stride: 1, columns: 1, from: 0 };
    const cell = anchor - from;
    const x = (numbers[0] ?? 0) + (cell % columns);
    const y = (numbers[1] ?? 0) + Math.floor(cell / columns);
    return fromCentre([x, y, Math.exp(numbers[2] ?? 0), Math.exp(numbers[3] ?? 0)].map((value) => value * stride));
  };
}
