import { MusterError } from "../../errors.js";
import { fits, type TensorSpec, type Tensors } from "../../model/tensors.js";
import { type NamedTensor, newTensorData, sizeOf } from "../named-tensor.js";
import type { InputSide } from "../pipeline.js";
import { expectInput } from "./input-kind.js";
import { isNpy, readNpy } from "./npy.js";
import { readTensorJson } from "./tensor-json.js";

const maxBytes = 50_000_000;

/** Tensors as inputs, one set per body. */
export function tensorsInput({ inputs }: Tensors): InputSide {
  return {
    accepts: ["application/json", "application/octet-stream"],
    states: [],
    decodesInPlace: true,
    featureKinds: {},
    async decode(bytes) {
      if (bytes.length > maxBytes) {
        throw new MusterError(
          "input/too-large",
          `the tensors have ${bytes.length} bytes, at most ${maxBytes} are taken`,
        );
      }
      const tensors = isNpy(bytes) ? [named(bytes, inputs)] : readTensorJson(bytes, inputs);
      for (const [at, spec] of inputs.entries()) checkShape(tensors[at], spec);
      return { inputs: [{ kind: "tensors", tensors }], list: false };
    },
    toRuns: (input) => [[...expectInput(input, "tensors").tensors]],
    features: () => ({}),
    blank: () => ({ kind: "tensors", tensors: inputs.map(zeros) }),
  };
}

function named(bytes: Uint8Array, inputs: readonly TensorSpec[]): NamedTensor {
  const [spec] = inputs;
  if (inputs.length !== 1 || spec === undefined) {
    throw new MusterError(
      "input/invalid",
      `the model has ${inputs.length} inputs; send them as JSON, a NumPy file holds one`,
    );
  }
  const tensor = readNpy(bytes);
  if (tensor.dtype === spec.dtype) return { name: spec.name, ...tensor };
  throw new MusterError(
    "input/invalid",
    `the NumPy file holds ${tensor.dtype}, the model takes ${spec.dtype}; convert it with astype`,
  );
}

function checkShape(tensor: NamedTensor | undefined, { name, shape }: TensorSpec): void {
  if (tensor !== undefined && fits(tensor.shape, shape) && tensor.shape.every((size) => size >= 1)) return;
  throw new MusterError(
    "input/invalid",
    `'${name}' is [${tensor?.shape.join(", ")}], the model takes [${shape.join(", ")}]`,
  );
}

function zeros({ name, dtype, shape }: TensorSpec): NamedTensor {
  const sizes = shape.map((size) => (typeof size === "string" ? 1 : size));
  return { name, dtype, shape: sizes, data: newTensorData(dtype, sizeOf(sizes)) };
}
