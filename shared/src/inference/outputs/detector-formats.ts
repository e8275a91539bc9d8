import { MusterError } from "../../errors.js";
import type { DetectionPostprocess } from "../../model/postprocess/detection.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { Tensors } from "../../model/tensors.js";
import type { NamedTensor } from "../named-tensor.js";
import { type BoxAt, bestClass, fromCentre, type Size } from "./candidate-box.js";
import { soundFloats } from "./check-number.js";
import { ssdReader } from "./ssd-format.js";
import type { Candidate } from "./suppress.js";
import { gridBoxes } from "./yolox-grid.js";

/** Reads the candidates at or above the threshold out of the outputs of one picture; boxes in pixels of the tensor. */
export type ReadCandidates = (outputs: readonly NamedTensor[], tensor: Size) => Candidate[];

/** How a format is read. */
export function detectorFormat(spec: DetectionPostprocess, tensors: Tensors): ReadCandidates {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  const { format, labels, threshold, ssd, strides } = spec;
  const classes = labels.length;
  switch (format) {
    case "ssd":
      return ssd === undefined ? () => [] : ssdReader(ssd, classes, threshold);
    case "end-to-end":
      return (outputs) => endToEnd(soundFloats(outputs, name), columnsOf(outputs, name), threshold, classes);
    case "yolo-v5":
      return (outputs) => anchorsFirst(soundFloats(outputs, name), classes, threshold, fromCentre);
    case "yolox":
      return (outputs, tensor) => {
        const data = soundFloats(outputs, name);
        return anchorsFirst(data, classes, threshold, gridBoxes(strides, tensor, data.length / (5 + classes)));
      };
    case "yolo-v8":
      return (outputs) => {
        const data = soundFloats(outputs, name);
        const isLast = shapeOf(outputs, name)[1] === 4 + classes;
        if (isLast) return anchorsLast(data, classes, threshold);
        if (columnsOf(outputs, name) === 4 + classes) return withoutObjectness(data, classes, threshold);
        throw new MusterError(
          "tensor/invalid",
          `output '${name}' is [${shapeOf(outputs, name).join(", ")}], but ${classes} labels need [n, ${4 + classes}, anchors]`,
        );
      };
  }
}

function shapeOf(outputs: readonly NamedTensor[], name: string): readonly number[] {
  return outputs.find((one) => one.name === name)?.shape ?? [];
}

function columnsOf(outputs: readonly NamedTensor[], name: string): number {
  return shapeOf(outputs, name).at(-1) ?? 0;
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

/** `[anchors, 5 + classes]`: the score is objectness × class score. `boxAt` reads the box of an anchor. */
function anchorsFirst(data: Float32Array, classes: number, threshold: number, boxAt: BoxAt): Candidate[] {
  const width = 5 + classes;
  const found: Candidate[] = [];
  for (let from = 0; from + width <= data.length; from += width) {
    const objectness = data[from + 4] as number;
    // The product cannot reach the threshold either: class scores are at most 1.
    if (!(objectness >= threshold)) continue;
    const { klass, score: best } = bestClass(data, from + 5, classes);
    const score = objectness * best;
    if (score >= threshold) found.push({ edges: boxAt(data.subarray(from, from + 4), from / width), score, klass });
  }
  return found;
}

/** `[anchors, 4 + classes]` */
function withoutObjectness(data: Float32Array, classes: number, threshold: number): Candidate[] {
  const width = 4 + classes;
  const found: Candidate[] = [];
  for (let from = 0; from + width <= data.length; from += width) {
    const { klass, score } = bestClass(data, from + 4, classes);
    if (score >= threshold) found.push({ edges: fromCentre(data.subarray(from, from + 4)), score, klass });
  }
  return found;
}

/** `[found, 6]`, or with seven columns `[found, 7]`, which begins with the number of the picture and ends with class, score. */
function endToEnd(data: Float32Array, columns: number, threshold: number, classes: number): Candidate[] {
  const width = columns === 7 ? 7 : 6;
  const found: Candidate[] = [];
  for (let from = 0; from + width <= data.length; from += width) {
    const [left = 0, top = 0, right = 0, bottom = 0, fifth = 0, sixth = 0] = data.subarray(
      from + width - 6,
      from + width,
    );
    const [score, number] = width === 7 ? [sixth, fifth] : [fifth, sixth];
    const klass = Math.round(number);
    if (score >= threshold && klass >= 0 && klass < classes) {
      found.push({ edges: [left, top, right, bottom], score, klass });
    }
  }
  return found;
}
