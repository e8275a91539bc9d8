import { MusterError } from "../errors.js";
import type { ManifestSample } from "../model/manifest.js";
import type { ClassificationPostprocess } from "../model/pipeline.js";

/** The answer of a classifier to one input. */
export interface Classification {
  readonly label: string;
  /** Score of the label, 0..1. */
  readonly confidence: number;
  /** The best `topK` classes, best first. */
  readonly classes: readonly { label: string; confidence: number }[];
  /** One score per class, in the order of the labels. */
  readonly scores: readonly number[];
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
  const scores = spec.softmax ? softmax(raw) : raw;
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
  sample: Pick<ManifestSample, "label" | "scores">,
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
