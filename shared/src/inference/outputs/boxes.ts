import type { AnswerBox } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import { toPicture } from "../inputs/image-placement.js";

/** A box by its edges: left, top, right, bottom. */
export type Edges = readonly [left: number, top: number, right: number, bottom: number];

/** Area of the intersection over area of the union; 0 for boxes without area. */
export function overlap(a: Edges, b: Edges): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (area(a) + area(b) - both);
}

function area([left, top, right, bottom]: Edges): number {
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}

/** The edges of a box of an answer or an expectation: left, top, width, height. */
export function edgesOf([left = 0, top = 0, width = 0, height = 0]: readonly number[]): Edges {
  return [left, top, left + width, top + height];
}

/** A point of the tensor as one of the picture that was sent; as it is when there was no picture. */
export function inPicture(input: DecodedInput, x: number, y: number): [number, number] {
  const placement = input.kind === "image" ? input.placement : undefined;
  return placement === undefined ? [x, y] : toPicture(placement, x, y);
}

/** A box of the tensor as one of the picture that was sent. */
export function boxInPicture(input: DecodedInput, [left, top, right, bottom]: Edges): AnswerBox {
  const [x1, y1] = inPicture(input, left, top);
  const [x2, y2] = inPicture(input, right, bottom);
  return { left: x1, top: y1, width: x2 - x1, height: y2 - y1 };
}

/** Something found, to be compared with what was expected. */
export interface FoundBox {
  readonly label?: string | undefined;
  readonly confidence: number;
  readonly box: AnswerBox;
}

/** What a self-test expects. */
export interface ExpectedBox {
  readonly label?: string | undefined;
  readonly confidence?: number | undefined;
  readonly box: readonly number[];
}

/**
 * What is wrong with the boxes of a self-test sample. Each expected one takes the best overlapping one of its label; one too
 * many is forgiven when its confidence is within the tolerance of the threshold, since it may be there or not.
 */
export function boxesFault(
  found: readonly FoundBox[],
  expected: readonly ExpectedBox[],
  limits: { readonly tolerance: number; readonly minIou: number; readonly threshold: number },
): string | undefined {
  const left = new Set(found);
  for (const [at, wanted] of expected.entries()) {
    const what = `${wanted.label === undefined ? "box" : `'${wanted.label}'`} ${at + 1} at [${wanted.box.map(Math.round).join(", ")}]`;
    const near = [...left]
      .filter(({ label }) => label === wanted.label)
      .map((one) => ({ one, iou: overlap(boxEdges(one.box), edgesOf(wanted.box)) }))
      .sort((a, b) => b.iou - a.iou);
    const [best] = near;
    if (best === undefined || best.iou < limits.minIou) {
      const nearest = best === undefined ? "none was found" : `the nearest overlaps by ${best.iou.toFixed(2)}`;
      return `expected ${what} with an overlap of ${limits.minIou}, ${nearest}`;
    }
    left.delete(best.one);
    const { confidence } = best.one;
    if (wanted.confidence !== undefined && !(Math.abs(confidence - wanted.confidence) <= limits.tolerance)) {
      return `${what} has confidence ${confidence.toFixed(3)}, expected ${wanted.confidence.toFixed(3)} ± ${limits.tolerance}`;
    }
  }
  const tooMany = [...left].find(({ confidence }) => confidence > limits.threshold + limits.tolerance);
  if (tooMany === undefined) return undefined;
  const { left: x, top: y, width, height } = tooMany.box;
  const place = [x, y, width, height].map(Math.round).join(", ");
  return `found ${tooMany.label ?? "a box"} at [${place}] with confidence ${tooMany.confidence.toFixed(3)}, which is not expected`;
}

function boxEdges({ left, top, width, height }: AnswerBox): Edges {
  return [left, top, left + width, top + height];
}
