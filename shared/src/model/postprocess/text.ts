import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { labelsFile } from "./classification.js";
import { outputOf, outputProblems } from "./output.js";

/** How an output `[n, steps, classes]` becomes text (CTC; Graves et al., ICML 2006), the best class of every step. */
export const TextPostprocess = z.strictObject({
  /** One text per class without the blank, usually one character; or … */
  labels: z.array(z.string().max(20)).min(1).max(100_000).optional(),
  /** … one string in which every character is a class. */
  characters: z.string().min(1).max(100_000).optional(),
  /** … or a file of the bundle with one text per line. */
  labelsFile,
  /** Where among the classes the blank is. */
  blank: z.enum(["first", "last"]).default("first"),
  /** Apply softmax: true when the model gives logits. */
  softmax: z.boolean().default(false),
  output: TensorName.optional(),
});
export type TextPostprocess = z.infer<typeof TextPostprocess>;

/** What a text recogniser's self-test sample expects. */
export const textExpectation = {
  text: z.string().max(10_000),
  confidence: z.number().optional(),
};
export type TextExpectation = z.infer<z.ZodObject<typeof textExpectation>>;

/** The text of each class, the blank left out. */
export function textClasses({ labels, characters }: TextPostprocess): readonly string[] {
  return labels ?? Array.from(characters ?? "");
}

/** Where the characters do not fit the output. */
export function textProblems(spec: TextPostprocess, tensors: Tensors): Problem[] {
  if ((spec.labels === undefined) === (spec.characters === undefined)) {
    return [{ field: "postprocess.characters", message: "give either characters, labels or labelsFile" }];
  }
  const classes = textClasses(spec).length + 1;
  const problems = outputProblems(tensors, spec.output, [["n", "steps", classes]]);
  const last = outputOf(tensors, spec.output)?.shape.at(-1);
  if (problems.length === 0 || typeof last !== "number" || last === classes) return problems;
  const message = `there are ${classes - 1} characters and the blank, but the output has ${last} classes`;
  return [{ field: spec.labels === undefined ? "postprocess.characters" : "postprocess.labels", message }];
}
