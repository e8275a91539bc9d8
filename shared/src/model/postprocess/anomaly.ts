import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { outputOf, outputProblems } from "./output.js";

/** How an output becomes a score of how unusual the input is. */
export const AnomalyPostprocess = z.strictObject({
  /**
   * `max` or `mean` of the output's numbers, of which there may be one or a map; `reconstruction` is the mean squared
   * difference between the output and the input, for autoencoders.
   */
  score: z.enum(["max", "mean", "reconstruction"]).default("max"),
  /** From this score on the input is an anomaly. */
  threshold: z.number(),
  output: TensorName.optional(),
});
export type AnomalyPostprocess = z.infer<typeof AnomalyPostprocess>;

/** What an anomaly detector's self-test sample expects. */
export const anomalyExpectation = {
  anomaly: z.boolean(),
  /** Within the tolerance. */
  score: z.number().optional(),
};
export type AnomalyExpectation = z.infer<z.ZodObject<typeof anomalyExpectation>>;

/** Where the output does not fit the way the score is made. */
export function anomalyProblems({ score, output }: AnomalyPostprocess, tensors: Tensors): Problem[] {
  const problems = outputProblems(tensors, output, []);
  const read = outputOf(tensors, output);
  const given = tensors.inputs[0];
  if (score !== "reconstruction" || read === undefined || given === undefined) return problems;
  const same =
    read.shape.length === given.shape.length && read.shape.every((size, at) => at === 0 || size === given.shape[at]);
  if (same && tensors.inputs.length === 1) return problems;
  const message = `is [${read.shape.join(", ")}]; a reconstruction has the shape of the one input, [${given.shape.join(", ")}]`;
  return [...problems, { field: `tensors.outputs[${tensors.outputs.indexOf(read)}].shape`, message }];
}
