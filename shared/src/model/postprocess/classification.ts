import { z } from "zod";
import type { Problem } from "../../errors.js";
import { BundlePath } from "../bundle-path.js";
import { fits, TensorName, type Tensors } from "../tensors.js";
import { outputOf, outputProblems, unknownLabel } from "./output.js";

/** Names of classes, in the order of the model's output; empty where {@link labelsFile} has them. */
export const ClassLabels = z.array(z.string().min(1).max(200)).max(100_000);

/** Two or more, or none where a file has them; a single class needs no classifier. */
export function twoOrMore(labels: readonly string[]): boolean {
  return labels.length !== 1;
}

/** A file of the bundle with one label per line, in place of a list of them. */
export const labelsFile = BundlePath.optional();

/** How an output tensor `[n, classes]` becomes a label. */
export const ClassificationPostprocess = z.strictObject({
  /** One name per class, in the order of the model's output. */
  labels: ClassLabels.refine(twoOrMore, "needs at least two labels").default([]),
  labelsFile,
  /** Apply softmax: true when the model gives logits, false when it gives probabilities already. */
  softmax: z.boolean().default(false),
  /** How many of the best classes an answer lists. */
  topK: z.int().min(1).max(100).default(1),
  /** The output that holds the scores; the first one unless given. */
  output: TensorName.optional(),
});
export type ClassificationPostprocess = z.infer<typeof ClassificationPostprocess>;

/** What a classifier's self-test sample expects. */
export const classExpectation = {
  /** The class that must come out on top. */
  label: z.string().min(1),
  /** The whole output row, one number per class, each within the tolerance. */
  scores: z.array(z.number()).optional(),
};
export type ClassExpectation = z.infer<z.ZodObject<typeof classExpectation>>;

/** Where the labels do not fit the model's output, or the samples do not fit the labels. */
export function classificationProblems(
  { labels, output: name }: ClassificationPostprocess,
  tensors: Tensors,
  samples: readonly ClassExpectation[],
): Problem[] {
  const problems = outputProblems(tensors, name, []);
  const output = outputOf(tensors, name);
  if (name === undefined && tensors.outputs.length !== 1) {
    problems.push({
      field: "tensors.outputs",
      message: "a classifier has exactly one output; or name it in postprocess.output",
    });
  } else if (output !== undefined && !fits(output.shape, ["n", labels.length])) {
    const message = `is [${output.shape.join(", ")}], but there are ${labels.length} labels; expected [n, ${labels.length}]`;
    problems.push({ field: `tensors.outputs[${tensors.outputs.indexOf(output)}].shape`, message });
  }
  for (const [at, { label, scores }] of samples.entries()) {
    const field = `selfTest.samples[${at}].expect`;
    problems.push(...unknownLabel(`${field}.label`, label, labels));
    if (scores === undefined || scores.length === labels.length) continue;
    const message = `has ${scores.length} numbers for ${labels.length} labels; give one per label`;
    problems.push({ field: `${field}.scores`, message });
  }
  return problems;
}
