import type { Edges } from "./boxes.js";

/** Pixels of the tensor. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Makes the edges of an anchor's four numbers, in pixels of the tensor. */
export type BoxAt = (numbers: ArrayLike<number>, anchor: number) => Edges;

/** Centre x, centre y, width, height. */
export function fromCentre(numbers: ArrayLike<number>): Edges {
  const [x, y, width, height] = [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0, numbers[3] ?? 0];
  return [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
}

/** The highest of so many scores. */
export function bestClass(data: Float32Array, from: number, classes: number): { klass: number; score: number } {
  let klass = 0;
  for (let c = 1; c < classes; c += 1) if ((data[from + c] as number) > (data[from + klass] as number)) klass = c;
  return { klass, score: data[from + klass] ?? 0 };
}
