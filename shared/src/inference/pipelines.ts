import type { DecodedBody } from "./decoded-input.js";
import { imageClassification } from "./image-classification.js";
import type { Pipeline, PipelineSpec } from "./pipeline.js";

/** The pipeline that a manifest or bundle declares. */
export function pipelineOf(spec: PipelineSpec): Pipeline {
  switch (spec.task) {
    case "image-classification":
      return imageClassification(spec);
  }
}

/** Decodes a body for the model; see {@link Pipeline.decode}. */
export function decodeInput(spec: PipelineSpec, bytes: Uint8Array, contentType = ""): Promise<DecodedBody> {
  return pipelineOf(spec).decode(bytes, contentType);
}
