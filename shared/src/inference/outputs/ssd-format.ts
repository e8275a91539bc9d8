import type { DetectionPostprocess } from "../../model/postprocess/detection.js";
import type { Edges } from "./boxes.js";
import { bestClass, fromCentre } from "./candidate-box.js";
import { soundFloats } from "./check-number.js";
import type { ReadCandidates } from "./detector-formats.js";
import type { Candidate } from "./suppress.js";

type SsdSpec = NonNullable<DetectionPostprocess["ssd"]>;

/** Reads one output each for boxes and scores, and for classes where there is one. */
export function ssdReader(spec: SsdSpec, count: number, threshold: number): ReadCandidates {
  const toEdges = orders[spec.order];
  return (outputs, tensor) => {
    const boxes = soundFloats(outputs, spec.boxes);
    const scores = soundFloats(outputs, spec.scores);
    const numbers = spec.classes === undefined ? undefined : soundFloats(outputs, spec.classes);
    const width = count + spec.firstClass + (spec.noObject ? 1 : 0);
    const [sx, sy] = spec.relative ? [tensor.width, tensor.height] : [1, 1];
    const found: Candidate[] = [];
    for (let at = 0; at < Math.floor(boxes.length / 4); at += 1) {
      const { klass, score: number } =
        numbers === undefined
          ? bestClass(scores, at * width + spec.firstClass, count)
          : { klass: Math.round(numbers[at] ?? -1) - spec.firstClass, score: scores[at] ?? 0 };
      const score = activated(number, spec.activation, scores, at * width, width);
      if (!(score >= threshold) || klass < 0 || klass >= count) continue;
      const [left, top, right, bottom] = toEdges(boxes.subarray(at * 4, at * 4 + 4));
      found.push({ edges: [left * sx, top * sy, right * sx, bottom * sy], score, klass });
    }
    return found;
  };
}

const orders: Readonly<Record<SsdSpec["order"], (numbers: ArrayLike<number>) => Edges>> = {
  "left-top-right-bottom": (box) => [box[0] ?? 0, box[1] ?? 0, box[2] ?? 0, box[3] ?? 0],
  "top-left-bottom-right": (box) => [box[1] ?? 0, box[0] ?? 0, box[3] ?? 0, box[2] ?? 0],
  "centre-size": fromCentre,
};

/** The probability of a score among those of its box, `width` from `from` on. */
function activated(
  score: number,
  activation: SsdSpec["activation"],
  scores: Float32Array,
  from: number,
  width: number,
): number {
  if (activation === "none") return score;
  if (activation === "sigmoid") return 1 / (1 + Math.exp(-score));
  let sum = 0;
  for (let c = 0; c < width; c += 1) sum += Math.exp((scores[from + c] ?? 0) - score);
  return 1 / sum;
}
