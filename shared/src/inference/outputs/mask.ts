import type { Mask } from "../../model/postprocess/segmentation.js";
import type { AnswerBox } from "../answer.js";

/** A class for every pixel, row by row. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  readonly classes: Uint8Array;
}

/** Class, length, class, length … */
export function runsOf(classes: Uint8Array): number[] {
  const runs: number[] = [];
  let start = 0;
  for (let at = 1; at <= classes.length; at += 1) {
    if (at < classes.length && classes[at] === classes[start]) continue;
    runs.push(classes[start] as number, at - start);
    start = at;
  }
  return runs;
}

/** The class of every pixel of a mask; what its runs do not reach is class 0. */
export function classesFromRuns({ width, height, runs }: Mask): Uint8Array {
  const classes = new Uint8Array(width * height);
  let at = 0;
  for (let run = 0; run + 1 < runs.length; run += 2) {
    const length = runs[run + 1] ?? 0;
    classes.fill(runs[run] ?? 0, at, at + length);
    at += length;
  }
  return classes;
}

/** A part of a grid. */
export function within(grid: Grid, { left, top, width, height }: AnswerBox): Grid {
  const classes = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const from = (top + y) * grid.width + left;
    classes.set(grid.classes.subarray(from, from + width), y * width);
  }
  return { width, height, classes };
}

/** Intersection over union per class, averaged over the classes that occur in either (mean IoU). */
export function maskOverlap(a: Uint8Array, b: Uint8Array): number {
  const both = new Float64Array(256);
  const either = new Float64Array(256);
  for (let at = 0; at < a.length; at += 1) {
    const [x, y] = [a[at] as number, b[at] as number];
    either[x] = (either[x] as number) + 1;
    if (x === y) both[x] = (both[x] as number) + 1;
    else either[y] = (either[y] as number) + 1;
  }
  const present = Array.from(either.keys()).filter((klass) => (either[klass] as number) > 0);
  return present.reduce((sum, klass) => sum + (both[klass] as number) / (either[klass] as number), 0) / present.length;
}
