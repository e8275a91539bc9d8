import { outputOf } from "../../model/postprocess/output.js";
import type { BoxesExpectation, TextDetectionPostprocess } from "../../model/postprocess/text-detection.js";
import type { Tensors } from "../../model/tensors.js";
import type { TextBoxesAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import type { NamedTensor } from "../named-tensor.js";
import type { OutputSide } from "../pipeline.js";
import { boxesFault, inPicture } from "./boxes.js";
import { soundFloats } from "./check-number.js";
import { meanConfidence, type OverlapLimits } from "./detection.js";
import { type MapSize, regionsOf } from "./regions.js";
import { cornersOf, grown, type Point, smallestRectangle } from "./turned-rectangle.js";

type TextBox = TextBoxesAnswer["boxes"][number];

/** Boxes around lines of text, out of a map of probabilities. */
export function textDetectionOutput(
  spec: TextDetectionPostprocess,
  tensors: Tensors,
): OutputSide<BoxesExpectation, OverlapLimits> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  return {
    featureKinds: { objects: "number", confidence: "number" },
    read([outputs = []], input) {
      const boxes = textBoxes(soundFloats(outputs, name), mapSize(outputs, name), input, spec);
      return {
        answer: { boxes },
        features: { objects: boxes.length, confidence: meanConfidence(boxes) },
        fault: (expected, limits) => {
          const wanted = expected.boxes.map((box) => ({ box }));
          return boxesFault(boxes, wanted, { ...limits, threshold: spec.boxThreshold });
        },
      };
    },
  };
}

function mapSize(outputs: readonly NamedTensor[], name: string): MapSize {
  const [height = 1, width = 1] = outputs.find((one) => one.name === name)?.shape.slice(-2) ?? [];
  return { width, height };
}

function textBoxes(map: Float32Array, size: MapSize, input: DecodedInput, spec: TextDetectionPostprocess): TextBox[] {
  // The map may be smaller than the tensor.
  const [sx, sy] = input.kind === "image" ? [input.width / size.width, input.height / size.height] : [1, 1];
  const boxes = regionsOf(map, size, spec.threshold, spec.maxBoxes).flatMap(({ outline }): TextBox[] => {
    const tight = smallestRectangle(outline);
    if (Math.min(tight.width, tight.height) < spec.minSide) return [];
    const confidence = meanWithin(map, size, cornersOf(tight));
    if (confidence < spec.boxThreshold) return [];
    const by = (tight.width * tight.height * spec.grow) / (2 * (tight.width + tight.height));
    const corners = cornersOf(grown(tight, by)).map(([x, y]) => inPicture(input, x * sx, y * sy));
    const xs = corners.map(([x]) => x);
    const ys = corners.map(([, y]) => y);
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    return [{ confidence, box: { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top }, corners }];
  });
  return boxes.sort((a, b) => a.box.top - b.box.top || a.box.left - b.box.left);
}

/** The mean of the map over the pixels whose centre lies within four corners, given clockwise. */
function meanWithin(map: Float32Array, { width, height }: MapSize, corners: readonly Point[]): number {
  const ys = corners.map(([, y]) => y);
  let sum = 0;
  let count = 0;
  for (let y = Math.max(0, Math.floor(Math.min(...ys))); y < Math.min(height, Math.max(...ys)); y += 1) {
    const [from, to] = spanOf(corners, y + 0.5);
    for (let x = Math.max(0, Math.ceil(from - 0.5)); x < width && x + 0.5 <= to; x += 1) {
      sum += map[y * width + x] as number;
      count += 1;
    }
  }
  return count === 0 ? 0 : sum / count;
}

/** From where to where a line at height y lies within a convex shape; from more than to where it does not. */
function spanOf(corners: readonly Point[], y: number): [from: number, to: number] {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [at, [x1, y1]] of corners.entries()) {
    const [x2, y2] = corners[(at + 1) % corners.length] ?? [x1, y1];
    if (Math.min(y1, y2) > y || Math.max(y1, y2) < y) continue;
    const crossings = y1 === y2 ? [x1, x2] : [x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)];
    from = Math.min(from, ...crossings);
    to = Math.max(to, ...crossings);
  }
  return [from, to];
}
