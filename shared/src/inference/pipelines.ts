import { MusterError } from "../errors.js";
import { labelFileOf, lacksLabels } from "../model/label-file.js";
import type { DecodedBody } from "./decoded-input.js";
import { baselineOf } from "./features.js";
import { audioInput } from "./inputs/audio-input.js";
import { imageInput } from "./inputs/image-input.js";
import { tableInput } from "./inputs/table-input.js";
import { tensorsInput } from "./inputs/tensors-input.js";
import { anomalyOutput } from "./outputs/anomaly.js";
import { classificationOutput } from "./outputs/classification.js";
import { detectionOutput } from "./outputs/detection.js";
import { eventsOutput } from "./outputs/events.js";
import { rawOutput } from "./outputs/raw.js";
import { regressionOutput } from "./outputs/regression.js";
import { segmentationOutput } from "./outputs/segmentation.js";
import { textOutput } from "./outputs/text.js";
import { textDetectionOutput } from "./outputs/text-detection.js";
import type { InputSide, OutputSide, Pipeline, PipelineSpec } from "./pipeline.js";

/** The pipeline that a manifest or bundle declares. */
export function pipelineOf(spec: PipelineSpec): Pipeline {
  if (lacksLabels(spec)) throw new MusterError("internal", `the labels in ${labelFileOf(spec)} were not read`);
  const side = inputSide(spec);
  const { accepts, states, decodesInPlace } = side;
  const output = outputSide(spec, side);
  const kinds = { ...side.featureKinds, ...output.featureKinds };
  // A client's own tensors may come to any model; then nothing is known of what they were made of.
  const isDecoded = { image: "image", table: "rows", audio: "audio", tensors: "tensors" }[spec.preprocess.decode];
  return {
    accepts,
    states,
    decodesInPlace,
    outputFeatures: Object.keys(output.featureKinds),
    decode: (bytes, contentType) => side.decode(bytes, contentType),
    toRuns: (input, memory) => side.toRuns(input, memory),
    blank: () => side.blank(),
    read(outputs, input) {
      const { answer, label, features, fault } = output.read(outputs, input);
      return {
        answer,
        ...(label === undefined ? {} : { label }),
        features: () => ({ ...(input.kind === isDecoded ? side.features(input) : {}), ...features }),
        fault,
      };
    },
    baselineOf: (values, bins) => baselineOf(kinds, values, bins),
  };
}

/** Decodes a body for the model; see {@link Pipeline.decode}. Whoever decodes more than once keeps the pipeline instead. */
export function decodeInput(spec: PipelineSpec, bytes: Uint8Array, contentType = ""): Promise<DecodedBody> {
  return pipelineOf(spec).decode(bytes, contentType);
}

/** Tasks whose answers are places in the picture. */
const placed: readonly PipelineSpec["task"][] = ["object-detection", "text-detection", "segmentation"];

function inputSide({ task, preprocess, tensors }: PipelineSpec): InputSide {
  switch (preprocess.decode) {
    case "image":
      return imageInput(preprocess, tensors, placed.includes(task));
    case "table":
      return tableInput(preprocess, tensors);
    case "audio":
      return audioInput(preprocess, tensors);
    case "tensors":
      return tensorsInput(tensors);
  }
}

function outputSide(spec: PipelineSpec, side: InputSide): OutputSide {
  switch (spec.task) {
    case "image-classification":
    case "classification":
      return classificationOutput(spec.postprocess, spec.tensors);
    case "object-detection":
      return detectionOutput(spec.postprocess, spec.tensors);
    case "text-detection":
      return textDetectionOutput(spec.postprocess, spec.tensors);
    case "text-recognition":
      return textOutput(spec.postprocess, spec.tensors);
    case "segmentation":
      return segmentationOutput(spec.postprocess, spec.tensors);
    case "regression":
      return regressionOutput(spec.postprocess, spec.tensors);
    case "anomaly-detection":
      return anomalyOutput(spec.postprocess, spec.tensors, side);
    case "audio-events":
      return eventsOutput(spec.postprocess, spec.tensors, spec.preprocess);
    case "raw":
      return rawOutput(spec.postprocess, spec.tensors);
  }
}
