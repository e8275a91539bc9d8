import { outputOf } from "../../model/postprocess/output.js";
import { type TextExpectation, type TextPostprocess, textClasses } from "../../model/postprocess/text.js";
import type { Tensors } from "../../model/tensors.js";
import type { TextAnswer } from "../answer.js";
import type { OutputSide } from "../pipeline.js";
import { checkNumber, soundFloats } from "./check-number.js";

/** Text read step by step: the best class of each, repetitions joined, blanks dropped. */
export function textOutput(spec: TextPostprocess, tensors: Tensors): OutputSide<TextExpectation> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  const classes = textClasses(spec);
  return {
    featureKinds: { confidence: "number", characters: "number" },
    read([outputs = []]) {
      const answer = readText(soundFloats(outputs, name), classes, spec);
      const { text, confidence } = answer;
      return {
        answer,
        features: { confidence, characters: Array.from(text).length },
        fault: (expected, { tolerance }) => textFault(answer, expected, tolerance),
      };
    },
  };
}

/** Reads `[steps, classes + 1]` row by row. */
export function readText(
  data: Float32Array,
  classes: readonly string[],
  { blank, softmax }: Pick<TextPostprocess, "blank" | "softmax">,
): TextAnswer {
  const width = classes.length + 1;
  const blankAt = blank === "first" ? 0 : classes.length;
  const firstText = blank === "first" ? 1 : 0;
  let text = "";
  let before = blankAt;
  let sum = 0;
  let count = 0;
  for (let from = 0; from + width <= data.length; from += width) {
    let best = 0;
    for (let at = 1; at < width; at += 1) if ((data[from + at] as number) > (data[from + best] as number)) best = at;
    if (best !== blankAt && best !== before) {
      text += classes[best - firstText] ?? "";
      sum += softmax ? shareOf(data.subarray(from, from + width), best) : (data[from + best] as number);
      count += 1;
    }
    before = best;
  }
  return { text, confidence: checkNumber(sum / Math.max(1, count)) };
}

function shareOf(logits: Float32Array, best: number): number {
  const most = logits[best] as number;
  return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
}

function textFault(answer: TextAnswer, expected: TextExpectation, tolerance: number): string | undefined {
  if (answer.text !== expected.text) {
    return `expected ${JSON.stringify(expected.text)}, read ${JSON.stringify(answer.text.slice(0, 200))}`;
  }
  const { confidence } = expected;
  if (confidence === undefined || Math.abs(answer.confidence - confidence) <= tolerance) return undefined;
  return `confidence is ${answer.confidence.toFixed(3)}, expected ${confidence.toFixed(3)} ± ${tolerance}`;
}
