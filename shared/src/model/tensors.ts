import { z } from "zod";

/** The type of a tensor's numbers, as ONNX Runtime names it. */
export const DataType = z.enum([
  "float32",
  "float16",
  "float64",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "uint64",
  "int64",
  "bool",
]);
export type DataType = z.infer<typeof DataType>;

const TensorSpec = z.strictObject({
  name: z.string().min(1),
  dtype: DataType,
  /** One entry per dimension: a size, or a name for one that is free, such as `n`. Empty for a scalar. */
  shape: z.array(z.union([z.int().min(1), z.string().min(1)])).max(8),
});
export type TensorSpec = z.infer<typeof TensorSpec>;

/** What goes into the model and what comes out. */
export const Tensors = z.strictObject({
  inputs: z.array(TensorSpec).min(1),
  outputs: z.array(TensorSpec).min(1),
});
export type Tensors = z.infer<typeof Tensors>;

/** The name of a tensor of the bundle. */
export const TensorName = z.string().min(1).max(500);

/** Whether two shapes agree, a named dimension standing for any size. */
export function fits(shape: readonly (number | string)[], other: readonly (number | string)[]): boolean {
  return (
    shape.length === other.length &&
    shape.every((size, at) => typeof size === "string" || typeof other[at] === "string" || size === other[at])
  );
}

/**
 * Whether several inputs may share one run: the first dimension of every input and output is free and has the same name
 * everywhere, so that row i of each output belongs to row i of the input.
 */
export function hasFreeBatch({ inputs, outputs }: Tensors): boolean {
  const firsts = [...inputs, ...outputs].map(({ shape }) => shape[0]);
  return typeof firsts[0] === "string" && firsts.every((first) => first === firsts[0]);
}
