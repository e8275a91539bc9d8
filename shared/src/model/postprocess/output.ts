import type { Problem } from "../../errors.js";
import { fits, type TensorSpec, type Tensors } from "../tensors.js";

/** The output a task reads: the one it names, or the first. */
export function outputOf({ outputs }: Tensors, name?: string): TensorSpec | undefined {
  return name === undefined ? outputs[0] : outputs.find((output) => output.name === name);
}

/** What is wrong with an output a task reads: its name, or its shape, which must fit one of those given. */
export function outputProblems(
  tensors: Tensors,
  name: string | undefined,
  shapes: readonly (readonly (number | string)[])[],
  field = "postprocess.output",
): Problem[] {
  const output = outputOf(tensors, name);
  if (output === undefined) {
    const names = tensors.outputs.map((one) => one.name).join(", ");
    return [{ field, message: `there is no '${name}' in tensors.outputs; there is ${names}` }];
  }
  if (shapes.length === 0 || shapes.some((shape) => fits(output.shape, shape))) return [];
  const wanted = shapes.map((shape) => `[${shape.join(", ")}]`).join(" or ");
  const message = `is [${output.shape.join(", ")}], expected ${wanted}`;
  return [{ field: `tensors.outputs[${tensors.outputs.indexOf(output)}].shape`, message }];
}

/** Texts of an expectation that are none of those known. */
export function unknownLabel(field: string, label: string, labels: readonly string[]): Problem[] {
  if (labels.includes(label)) return [];
  const known = labels.slice(0, 10).join(", ");
  return [{ field, message: `'${label}' is not in postprocess.labels (${known})` }];
}
