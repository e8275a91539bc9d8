import type { DetectionPostprocess } from "../../model/postprocess/detection.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { Tensors } from "../../model/tensors.js";
import type { NamedTensor } from "../named-tensor.js";
import type { Edges } from "./boxes.js";
import { soundFloats } from "./check-number.js";
import type { Candidate } from "./suppress.js";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Reads the candidates at or above the threshold out of the outputs of one picture; boxes in pixels of the tensor. */
export type ReadCandidates = (outputs: readonly NamedTensor[], tensor: Size) => Candidate[];

/** How a format is read. */
export function detectorFormat(spec: DetectionPostprocess, tensors: Tensors): ReadCandidates {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  const { format, labels, threshold } = spec;
  if (format === "ssd") return ssdReader(spec);
  if (format === "end-to-end") return (outputs) => endToEnd(soundFloats(outputs, name), threshold, labels.length);
  const layout = format === "yolo-v8" ? anchorsLast : anchorsFirst;
  return (outputs) => layout(soundFloats(outputs, name), labels.length, threshold);
}

/** `[4 + classes, anchors]`: one row per quantity, so the best class is looked for row by row. */
function anchorsLast(data: Float32Array, classes: number, threshold: number): Candidate[] {
  const anchors = Math.floor(data.length / (4 + classes));
  const best = new Float32Array(anchors).fill(Number.NEGATIVE_INFINITY);
  const klass = new Uint32Array(anchors);
  for (let c = 0; c < classes; c += 1) {
    const row = (4 + c) * anchors;
    for (let at = 0; at < anchors; at += 1) {
      const score = data[row + at] as number;
      if (score <= (best[at] as number)) continue;
      best[at] = score;
      klass[at] = c;
    }
  }
  const found: Candidate[] = [];
  for (let at = 0; at < anchors; at += 1) {
    const score = best[at] as number;
    if (!(score >= threshold)) continue;
    const box = [0, 1, 2, 3].map((row) => data[row * anchors + at] ?? 0);
    found.push({ edges: fromCentre(box), score, klass: klass[at] as number });
  }
  return found;
}

/** `[anchors, 5 + classes]`: the score is objectness × class score. */
function anchorsFirst(data: Float32Array, classes: number, threshold: number): Candidate[] {
  const width = 5 + classes;
  const found: Candidate[] = [];
  for (let from = 0; from + width <= data.length; from += width) {
    const objectness = data[from + 4] as number;
    // The product cannot reach the threshold either: class scores are at most 1.
    if (!(objectness >= threshold)) continue;
    const { klass, score: best } = bestClass(data, from + 5, classes);
    const score = objectness * best;
    if (score >= threshold) found.push({ edges: fromCentre(Array.from(data.subarray(from, from + 4))), score, klass });
  }
  return found;
}

/** `[found, 6]` */
function endToEnd(data: Float32Array, threshold: number, classes: number): Candidate[] {
  const found: Candidate[] = [];
  for (let from = 0; from + 6 <= data.length; from += 6) {
    const [left = 0, top = 0, right = 0, bottom = 0, score = 0, number = 0] = data.subarray(from, from + 6);
    const klass = Math.round(number);
    if (score >= threshold && klass >= 0 && klass < classes) {
      found.push({ edges: [left, top, right, bottom], score, klass });
    }
  }
  return found;
}

function ssdReader({ ssd, labels, threshold }: DetectionPostprocess): ReadCandidates {
  if (ssd === undefined) return () => [];
  const count = labels.length;
  return (outputs, tensor) => {
    const boxes = soundFloats(outputs, ssd.boxes);
    const scores = soundFloats(outputs, ssd.scores);
    const numbers = ssd.classes === undefined ? undefined : soundFloats(outputs, ssd.classes);
    const width = count + ssd.firstClass;
    const [sx, sy] = ssd.relative ? [tensor.width, tensor.height] : [1, 1];
    const found: Candidate[] = [];
    for (let at = 0; at < Math.floor(boxes.length / 4); at += 1) {
      const { klass, score } =
        numbers === undefined
          ? bestClass(scores, at * width + ssd.firstClass, count)
          : { klass: Math.round(numbers[at] ?? -1) - ssd.firstClass, score: scores[at] ?? 0 };
      if (!(score >= threshold) || klass < 0 || klass >= count) continue;
      const [a = 0, b = 0, c = 0, d = 0] = boxes.subarray(at * 4, at * 4 + 4);
      const [left, top, right, bottom] = ssd.order === "left-top-right-bottom" ? [a, b, c, d] : [b, a, d, c];
      found.push({ edges: [left * sx, top * sy, right * sx, bottom * sy], score, klass });
    }
    return found;
  };
}

function bestClass(data: Float32Array, from: number, classes: number): { klass: number; score: number } {
  let klass = 0;
  for (let c = 1; c < classes; c += 1) if ((data[from + c] ?? 0) > (data[from + klass] ?? 0)) klass = c;
  return { klass, score: data[from + klass] ?? 0 };
}

function fromCentre([x = 0, y = 0, width = 0, height = 0]: readonly number[]): Edges {
  return [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
}
