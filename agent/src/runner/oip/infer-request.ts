/**
 * What is asked by the Open Inference Protocol, version 2, with its binary tensor data extension
 * (https://github.com/open-inference/open-inference-protocol), and what is checked of it.
 */
import { fits, invalid, type Manifest, type Problem, parseWith, type TensorSpec } from "@muster/shared";
import { bytesPerNumber, hasFreeBatch, type NamedTensor, sizeOf, tensorDataOver } from "@muster/shared/inference";
import { z } from "zod";
import type { Wishes } from "../ticket.js";
import { datatypes } from "./datatypes.js";
import { readJsonData } from "./json-data.js";
import { wishesOf } from "./wishes.js";

const InferRequest = z.object({
  id: z.string().max(200).optional(),
  parameters: z
    .object({
      binary_data_output: z.boolean().optional(),
      priority: z.unknown().optional(),
      timeout: z.unknown().optional(),
    })
    .optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.int().min(1)).max(8),
        datatype: z.string(),
        parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
        // Looked at number by number only once, when it is copied: a schema per number would hold up the server.
        data: z.custom<unknown[]>(Array.isArray, "must be an array of numbers").optional(),
      }),
    )
    .min(1)
    .max(64),
  outputs: z
    .array(z.object({ name: z.string(), parameters: z.object({ binary_data: z.boolean().optional() }).optional() }))
    .min(1)
    .max(64)
    .optional(),
});
/** The JSON of a request that fits the model; its data is not looked at yet. */
export type InferRequest = z.infer<typeof InferRequest>;
type Input = InferRequest["inputs"][number];

/** The bytes behind the JSON of a request with binary tensors. */
export interface BinaryTail {
  readonly length: number;
  /** A copy of a part, in memory of its own. */
  take(from: number, to: number): Uint8Array<ArrayBuffer>;
}

/** A checked request. */
export interface TensorRequest {
  readonly id: string | undefined;
  readonly inputs: readonly NamedTensor[];
  /** What is asked for, all outputs when the request names none, and whether as binary data. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
  readonly wishes: Wishes;
}

/** More rows in one request would hold up everybody else. */
export const maxRows = 64;

/** Whether a JSON body is one of this protocol, and not rows for a model's own pipeline. */
export function isInferRequest(body: unknown): boolean {
  const inputs = (body as { inputs?: unknown } | null)?.inputs;
  return (
    Array.isArray(inputs) &&
    (inputs.length === 0 || (inputs[0] as { datatype?: unknown } | null)?.datatype !== undefined)
  );
}

/** Reads a request. Throws `request/invalid` or `tensor/invalid`, naming every field that does not fit. */
export function readInferRequest(body: unknown, tail: BinaryTail, model: Pick<Manifest, "tensors">): TensorRequest {
  return withData(checkInferRequest(body, model), tail, model);
}

/** All but the data of a request. Throws like {@link readInferRequest}. */
export function checkInferRequest(body: unknown, { tensors }: Pick<Manifest, "tensors">): InferRequest {
  const request = parseWith(InferRequest, body, "request/invalid", "the request");
  const problems = [
    ...namesOfInputs(request.inputs, tensors.inputs),
    ...namesOfOutputs(request.outputs ?? [], tensors.outputs),
    ...request.inputs.flatMap((input, at) => typeAndShape(input, `inputs[${at}]`, tensors.inputs)),
    ...freeSizes(request.inputs, tensors.inputs),
    ...rowsIn(request.inputs, tensors),
  ];
  if (problems.length > 0) throw invalid("tensor/invalid", "the request", problems);
  return request;
}

/** A checked request with its data. Throws like {@link readInferRequest}. */
export function withData(
  request: InferRequest,
  tail: BinaryTail,
  { tensors }: Pick<Manifest, "tensors">,
): TensorRequest {
  const { parameters, id } = request;
  const asked = request.outputs ?? tensors.outputs.map(({ name }) => ({ name, parameters: undefined }));
  return {
    id,
    inputs: readData(request.inputs, tail, tensors.inputs),
    outputs: asked.map((output) => ({
      name: output.name,
      binary: output.parameters?.binary_data ?? parameters?.binary_data_output ?? false,
    })),
    wishes: wishesOf(parameters ?? {}),
  };
}

function namesOfInputs(inputs: readonly Input[], specs: readonly TensorSpec[]): Problem[] {
  const names = specs.map(({ name }) => name);
  const twice = inputs.flatMap(({ name }, at) => {
    const first = inputs.findIndex((other) => other.name === name);
    return first < at ? [{ field: `inputs[${at}].name`, message: `${name} is inputs[${first}] already` }] : [];
  });
  const missing = names.filter((name) => !inputs.some((input) => input.name === name));
  return [
    ...inputs.flatMap(({ name }, at) => unknownName(`inputs[${at}].name`, name, names)),
    ...twice,
    ...missing.map((name) => ({ field: "inputs", message: `${name} is missing` })),
  ];
}

function namesOfOutputs(outputs: readonly { name: string }[], specs: readonly TensorSpec[]): Problem[] {
  const names = specs.map(({ name }) => name);
  return outputs.flatMap(({ name }, at) => unknownName(`outputs[${at}].name`, name, names));
}

function unknownName(field: string, name: string, names: readonly string[]): Problem[] {
  return names.includes(name) ? [] : [{ field, message: `is ${name || "empty"}, expected ${names.join(" or ")}` }];
}

function typeAndShape({ name, datatype, shape }: Input, field: string, specs: readonly TensorSpec[]): Problem[] {
  const spec = specs.find((one) => one.name === name);
  if (spec === undefined) return [];
  const problems: Problem[] = [];
  const expected = datatypes[spec.dtype];
  if (datatype !== expected)
    problems.push({ field: `${field}.datatype`, message: `is ${datatype}, expected ${expected}` });
  if (!fits(shape, spec.shape)) {
    const message = `is [${shape.join(", ")}], expected [${spec.shape.join(", ")}]`;
    problems.push({ field: `${field}.shape`, message });
  }
  return problems;
}

/** Dimensions of one name have one size. */
function freeSizes(inputs: readonly Input[], specs: readonly TensorSpec[]): Problem[] {
  const sizes = new Map<string, number>();
  return inputs.flatMap(({ name, shape }, at) =>
    (specs.find((spec) => spec.name === name)?.shape ?? []).flatMap((free, dimension) => {
      const size = shape[dimension];
      if (typeof free === "number" || size === undefined) return [];
      const known = sizes.get(free) ?? size;
      sizes.set(free, known);
      const message = `has ${size} for ${free}, which is ${known} in another input`;
      return known === size ? [] : [{ field: `inputs[${at}].shape[${dimension}]`, message }];
    }),
  );
}

function rowsIn([input]: readonly Input[], tensors: Manifest["tensors"]): Problem[] {
  const rows = input?.shape[0] ?? 1;
  if (!hasFreeBatch(tensors) || rows <= maxRows) return [];
  return [{ field: "inputs[0].shape", message: `has ${rows} rows, at most ${maxRows} are taken; send more requests` }];
}

function readData(inputs: readonly Input[], tail: BinaryTail, specs: readonly TensorSpec[]): NamedTensor[] {
  const problems: Problem[] = [];
  const tensors: NamedTensor[] = [];
  let from = 0;
  for (const [at, input] of inputs.entries()) {
    const spec = specs.find(({ name }) => name === input.name);
    if (spec === undefined) continue;
    const data = dataOf(input, spec, tail, from);
    from += input.parameters?.binary_data_size ?? 0;
    if (typeof data === "string") problems.push({ field: `inputs[${at}].data`, message: data });
    else tensors.push({ name: spec.name, dtype: spec.dtype, shape: input.shape, data });
  }
  if (from !== tail.length) {
    const message = `name ${from} bytes of binary data in all, but ${tail.length} came; the body may be cut off`;
    problems.push({ field: "inputs", message });
  }
  if (problems.length > 0) throw invalid("tensor/invalid", "the request", problems);
  return tensors;
}

function dataOf({ data, shape, parameters }: Input, { dtype }: TensorSpec, tail: BinaryTail, from: number) {
  const length = sizeOf(shape);
  const size = parameters?.binary_data_size;
  if (size === undefined) return data === undefined ? "is missing" : readJsonData(data, dtype, length);
  if (data !== undefined) return "is there although binary_data_size is given; send one of them";
  if (size !== length * bytesPerNumber(dtype)) {
    return `has ${size} bytes of binary data, expected ${length * bytesPerNumber(dtype)}`;
  }
  if (from + size > tail.length) return `ends after ${tail.length - from} of ${size} bytes; the body is cut off`;
  const bytes = tail.take(from, from + size);
  if (dtype === "bool" && bytes.some((byte) => byte > 1)) return "has a byte that is neither 0 nor 1";
  return tensorDataOver(dtype, bytes.buffer);
}
