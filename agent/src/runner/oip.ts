/**
 * The shapes of the Open Inference Protocol, version 2
 * (https://github.com/open-inference/open-inference-protocol), and what is checked of a request.
 */
import { fits, invalid, type Manifest, type Problem, parseWith, type TensorSpec } from "@muster/shared";
import type { NamedTensor } from "@muster/shared/inference";
import { z } from "zod";

const InferRequest = z.object({
  id: z.string().max(200).optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.int().min(1)).min(1).max(8),
        datatype: z.string(),
        // Looked at number by number only once, when it is copied: a schema per number would hold up the server.
        data: z.custom<unknown[]>(Array.isArray, "must be an array of numbers"),
      }),
    )
    .min(1),
  outputs: z.array(z.object({ name: z.string() })).optional(),
});

/** A checked request: one batch for the model's input. */
export interface TensorRequest {
  readonly id: string | undefined;
  readonly inputs: readonly NamedTensor[];
  /** The outputs that are asked for; all when absent. */
  readonly outputs: readonly string[] | undefined;
}

/** More rows in one request would hold up everybody else. */
const maxBatch = 64;

const datatypes = {
  float32: "FP32",
  float16: "FP16",
  float64: "FP64",
  uint8: "UINT8",
  int8: "INT8",
  uint16: "UINT16",
  int16: "INT16",
  uint32: "UINT32",
  int32: "INT32",
  uint64: "UINT64",
  int64: "INT64",
  bool: "BOOL",
} as const satisfies Record<TensorSpec["dtype"], string>;

/** Reads the body of a request. Throws `request/invalid` or `tensor/invalid`, naming every field that does not fit. */
export function readTensorRequest(body: unknown, { tensors }: Pick<Manifest, "tensors">): TensorRequest {
  const { id, inputs, outputs } = parseWith(InferRequest, body, "request/invalid", "the request");
  const [spec] = tensors.inputs;
  const [input] = inputs;
  if (spec === undefined || input === undefined) throw invalid("tensor/invalid", "the request", []);
  const { shape } = input;
  const length = shape.reduce((a, b) => a * b, 1);
  const flat = Array.isArray(input.data[0]) ? (input.data.flat(Number.POSITIVE_INFINITY) as unknown[]) : input.data;
  const problems: Problem[] = [
    ...differs("inputs[0].name", input.name, spec.name),
    ...differs("inputs[0].datatype", input.datatype, datatypes[spec.dtype]),
    ...(spec.dtype === "float32" ? [] : [{ field: "inputs[0].datatype", message: "only FP32 is taken here" }]),
    ...shapeProblems(shape, spec),
    ...differs("inputs[0].data", `of length ${flat.length}`, `of length ${length}`),
    ...(inputs.length === 1 ? [] : [{ field: "inputs", message: "the model has one input; send one" }]),
    ...(outputs ?? []).flatMap(({ name }, at) => unknownOutput(`outputs[${at}].name`, name, tensors.outputs)),
  ];
  if (problems.length > 0) throw invalid("tensor/invalid", "the request", problems);
  const tensor: NamedTensor = { name: input.name, dtype: spec.dtype, shape, data: numbers(flat) };
  return { id, inputs: [tensor], outputs: outputs?.map(({ name }) => name) };
}

/** The answer to a request: the raw output rows. */
export function tensorResponse(
  { model, version }: { readonly model: string; readonly version: string },
  id: string | undefined,
  outputs: readonly NamedTensor[],
) {
  return {
    model_name: model,
    model_version: version,
    ...(id === undefined ? {} : { id }),
    outputs: outputs.map(({ name, dtype, shape, data }) => ({
      name,
      shape,
      datatype: datatypes[dtype],
      data: Array.from(data as ArrayLike<number>, Number),
    })),
  };
}

/** What the protocol says of a model; free dimensions are -1. */
export function modelMetadata(model: string, versions: readonly string[], { tensors }: Pick<Manifest, "tensors">) {
  return {
    name: model,
    versions,
    platform: "onnx_onnxv1",
    inputs: tensors.inputs.map(tensorMetadata),
    outputs: tensors.outputs.map(tensorMetadata),
  };
}

function tensorMetadata({ name, dtype, shape }: TensorSpec) {
  const sizes = shape.map((size) => (typeof size === "string" ? -1 : size));
  return { name, datatype: datatypes[dtype], shape: sizes };
}

function differs(field: string, actual: string, expected: string): Problem[] {
  return actual === expected ? [] : [{ field, message: `is ${actual || "empty"}, expected ${expected}` }];
}

function unknownOutput(field: string, name: string, outputs: readonly TensorSpec[]): Problem[] {
  const names = outputs.map((output) => output.name);
  return names.includes(name) ? [] : differs(field, name, names.join(" or "));
}

function shapeProblems(shape: readonly number[], spec: TensorSpec): Problem[] {
  const field = "inputs[0].shape";
  if (!fits(shape, spec.shape)) {
    return [{ field, message: `is [${shape.join(", ")}], expected [${spec.shape.join(", ")}]` }];
  }
  const rows = shape[0] ?? 0;
  return rows > maxBatch
    ? [{ field, message: `has ${rows} rows, at most ${maxBatch} are taken; send more requests` }]
    : [];
}

function numbers(values: readonly unknown[]): Float32Array<ArrayBuffer> {
  const data = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    data[at] = typeof value === "number" ? value : Number.NaN;
    if (Number.isFinite(data[at])) continue;
    const message = `is ${JSON.stringify(value)?.slice(0, 40)}, expected a number that fits into 32 bits`;
    throw invalid("tensor/invalid", "the request", [{ field: `inputs[0].data[${at}]`, message }]);
  }
  return data;
}
