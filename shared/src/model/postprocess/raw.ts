import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";

/** The outputs as they are. */
export const RawPostprocess = z.strictObject({
  /** The outputs an answer holds; all unless given. */
  outputs: z.array(TensorName).min(1).max(64).optional(),
});
export type RawPostprocess = z.infer<typeof RawPostprocess>;

/** What a self-test sample expects: numbers of outputs, last dimension first. */
export const rawExpectation = { outputs: z.record(z.string(), z.array(z.number()).max(100_000)) };
export type RawExpectation = z.infer<z.ZodObject<typeof rawExpectation>>;

/** Outputs that are named and not there. */
export function rawProblems(
  { outputs }: RawPostprocess,
  tensors: Tensors,
  samples: readonly RawExpectation[],
): Problem[] {
  const names = tensors.outputs.map(({ name }) => name);
  const unknown = (field: string, name: string) =>
    names.includes(name)
      ? []
      : [{ field, message: `there is no '${name}' in tensors.outputs; there is ${names.join(", ")}` }];
  return [
    ...(outputs ?? []).flatMap((name, at) => unknown(`postprocess.outputs[${at}]`, name)),
    ...samples.flatMap((sample, at) =>
      Object.keys(sample.outputs).flatMap((name) => unknown(`selfTest.samples[${at}].expect.outputs.${name}`, name)),
    ),
  ];
}
