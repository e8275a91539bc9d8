import { MusterError } from "../../errors.js";
import type { ClassExpectation, ClassificationPostprocess } from "../../model/postprocess/classification.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { Tensors } from "../../model/tensors.js";
import type { ClassAnswer } from "../answer.js";
import { floatsOf } from "../named-tensor.js";
import type { OutputSide } from "../pipeline.js";

/** The answer of a classifier with all that it is made of. */
export interface Classification extends ClassAnswer {
  /** One score per class, in the order of the labels. */
  readonly scores: readonly number[];
}

/** One label per input; the scores of several runs, the frames of a recording, are averaged. */
export function classificationOutput(spec: ClassificationPostprocess, tensors: Tensors): OutputSide<ClassExpectation> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  return {
    featureKinds: { confidence: "number", class: spec.labels },
    read(outputs) {
      const runs = outputs.map((one) => classify(floatsOf(one, name), spec));
      const classification = runs.length === 1 && runs[0] !== undefined ? runs[0] : ranked(meanScores(runs), spec);
      const { label, confidence, classes } = classification;
      return {
        answer: { label, confidence, classes },
        label,
        features: { confidence, class: label },
        fault: (expected, { tolerance }) => classificationFault(classification, expected, tolerance),
      };
    },
  };
}

/** Reads one output row. Throws `tensor/invalid` when it has another length than there are labels. */
export function classify(row: ArrayLike<number>, spec: ClassificationPostprocess): Classification {
  if (row.length !== spec.labels.length) {
    throw new MusterError(
      "tensor/invalid",
      `output has ${row.length} classes, the pipeline names ${spec.labels.length}`,
    );
  }
  const raw = Array.from(row);
  return ranked(spec.softmax ? softmax(raw) : raw, spec);
}

function ranked(scores: readonly number[], spec: ClassificationPostprocess): Classification {
  const classes = scores
    .map((confidence, at) => ({ label: spec.labels[at] ?? "", confidence }))
    .sort((a, b) => b.confidence - a.confidence)
    .slice(0, spec.topK);
  const [best] = classes;
  if (best === undefined || !Number.isFinite(best.confidence) || scores.some(Number.isNaN)) {
    throw new MusterError(
      "engine/failed",
      "the model's output is not a number; its weights or this provider are broken",
    );
  }
  return { label: best.label, confidence: best.confidence, classes, scores };
}

/** What is wrong with an answer to a self-test sample, or undefined when it is as expected. */
export function classificationFault(
  answer: Classification,
  sample: ClassExpectation,
  tolerance: number,
): string | undefined {
  if (answer.label !== sample.label) {
    return `expected '${sample.label}', got '${answer.label}' with confidence ${answer.confidence.toFixed(3)}`;
  }
  const far =
    sample.scores?.findIndex((score, at) => !(Math.abs(score - (answer.scores[at] ?? Number.NaN)) <= tolerance)) ?? -1;
  if (far === -1) return undefined;
  return `score ${far} is ${answer.scores[far]?.toFixed(4)}, expected ${sample.scores?.[far]?.toFixed(4)} ± ${tolerance}`;
}

function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function meanScores(runs: readonly Classification[]): number[] {
  const sums = (runs[0]?.scores ?? []).map((_, at) => runs.reduce((sum, { scores }) => sum + (scores[at] ?? 0), 0));
  return sums.map((sum) => sum / runs.length);
}
