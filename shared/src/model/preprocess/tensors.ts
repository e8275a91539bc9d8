import { z } from "zod";

/** Nothing is made of the input: it is the model's tensors already. */
export const TensorsPreprocess = z.strictObject({
  /** JSON as in the Open Inference Protocol, or a NumPy `.npy` file for a model with one input. */
  decode: z.literal("tensors"),
});
export type TensorsPreprocess = z.infer<typeof TensorsPreprocess>;
