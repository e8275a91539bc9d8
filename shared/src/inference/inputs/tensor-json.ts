import { invalid, type Problem } from "../../errors.js";
import type { TensorSpec } from "../../model/tensors.js";
import { floatToHalf, type NamedTensor, newTensorData, sizeOf } from "../named-tensor.js";
import { parseInputJson } from "./bounded-json.js";

/**
 * Reads the tensors of a body as the Open Inference Protocol writes them: `{"inputs": [{"name", "shape", "data"}]}`, data flat or
 * nested. Throws `input/invalid` with every field that does not fit.
 */
export function readTensorJson(bytes: Uint8Array, specs: readonly TensorSpec[]): NamedTensor[] {
  const body = parseInputJson(bytes);
  const given = (body as { inputs?: unknown } | null)?.inputs;
  if (!Array.isArray(given))
    throw invalid("input/invalid", "the body", [{ field: "inputs", message: "must be an array of tensors" }]);
  const problems: Problem[] = [];
  const tensors = specs.flatMap((spec): NamedTensor[] => {
    const at = given.findIndex((one) => (one as { name?: unknown } | null)?.name === spec.name);
    if (at === -1) {
      problems.push({ field: "inputs", message: `has no '${spec.name}'` });
      return [];
    }
    const tensor = readTensor(given[at] as Given, spec, `inputs[${at}]`);
    if ("field" in tensor) problems.push(tensor);
    return "field" in tensor ? [] : [tensor];
  });
  if (problems.length > 0) throw invalid("input/invalid", "the body", problems);
  return tensors;
}

interface Given {
  readonly shape?: unknown;
  readonly data?: unknown;
}

function readTensor({ shape, data }: Given, { name, dtype }: TensorSpec, field: string): NamedTensor | Problem {
  const isShape =
    Array.isArray(shape) && shape.length <= 8 && shape.every((size) => Number.isInteger(size) && size > 0);
  if (!isShape) return { field: `${field}.shape`, message: "must be an array of sizes" };
  if (!Array.isArray(data)) return { field: `${field}.data`, message: "must be an array of numbers" };
  const flat: unknown[] = Array.isArray(data[0]) ? data.flat(8) : data;
  const length = sizeOf(shape);
  if (flat.length !== length)
    return { field: `${field}.data`, message: `has ${flat.length} numbers, the shape has ${length}` };
  const numbers = newTensorData(dtype, length);
  for (const [at, value] of flat.entries()) {
    const number = typeof value === "boolean" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isFinite(number))
      return { field: `${field}.data[${at}]`, message: "must be a number" };
    if (numbers instanceof BigInt64Array || numbers instanceof BigUint64Array) numbers[at] = BigInt(Math.trunc(number));
    else numbers[at] = dtype === "float16" ? floatToHalf(number) : number;
  }
  return { name, dtype, shape: shape as number[], data: numbers };
}
