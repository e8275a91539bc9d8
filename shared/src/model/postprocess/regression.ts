import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { outputProblems } from "./output.js";

/** How an output `[n, values]` or `[n]` becomes named numbers. */
export const RegressionPostprocess = z.strictObject({
  /** One entry per number of the output, in order; a number v becomes v × scale + offset. */
  values: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(200),
        scale: z.number().default(1),
        offset: z.number().default(0),
      }),
    )
    .min(1, "needs at least one value")
    .max(1000),
  output: TensorName.optional(),
});
export type RegressionPostprocess = z.infer<typeof RegressionPostprocess>;

/** How exact numbers of a self-test have to be. */
export const valueLimits = {
  /** How far a number may lie from the expected one, in its own unit. */
  tolerance: z.number().positive().default(0.01),
};

/** What a regression's self-test sample expects. */
export const valuesExpectation = { values: z.record(z.string(), z.number()) };
export type ValuesExpectation = z.infer<z.ZodObject<typeof valuesExpectation>>;

/** Where the values do not fit the output, or the samples not the values. */
export function regressionProblems(
  { values, output }: RegressionPostprocess,
  tensors: Tensors,
  samples: readonly ValuesExpectation[],
): Problem[] {
  const shapes = values.length === 1 ? [["n", 1], ["n"]] : [["n", values.length]];
  const names = values.map(({ name }) => name);
  const twice = names.flatMap((name, at) =>
    names.indexOf(name) < at ? [{ field: `postprocess.values[${at}].name`, message: `'${name}' is there twice` }] : [],
  );
  const unknown = samples.flatMap((sample, at) =>
    Object.keys(sample.values)
      .filter((name) => !names.includes(name))
      .map((name) => {
        const message = `is not in postprocess.values (${names.slice(0, 10).join(", ")})`;
        return { field: `selfTest.samples[${at}].expect.values.${name}`, message };
      }),
  );
  return [...outputProblems(tensors, output, shapes), ...twice, ...unknown];
}
