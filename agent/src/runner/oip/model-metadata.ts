import type { Manifest, TensorSpec } from "@muster/shared";
import { datatypes } from "./datatypes.js";

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
