import { MusterError } from "../errors.js";
import { classificationFault, classify } from "./classification.js";
import type { DecodedInput, ImageInput } from "./decoded-input.js";
import { baselineOf, featureValues } from "./drift-features.js";
import { imageFeatures } from "./image-features.js";
import { imageShape, imageTensor } from "./image-tensor.js";
import { floatsOf } from "./named-tensor.js";
import type { Pipeline, PipelineSpec } from "./pipeline.js";
import { decodeImage, imageTypes } from "./sharp-image.js";

/** One picture in, one label out. */
export function imageClassification({ tensors, preprocess, postprocess }: PipelineSpec): Pipeline {
  const [input, output] = [tensors.inputs[0], tensors.outputs[0]];
  const { width, height } = preprocess.resize;
  return {
    accepts: imageTypes,
    states: [],
    async decode(bytes) {
      return { inputs: [{ kind: "image", ...(await decodeImage(bytes, preprocess)) }], list: false };
    },
    toRuns(decoded) {
      const data = imageTensor(picture(decoded), preprocess);
      return [[{ name: input?.name ?? "", dtype: "float32", shape: imageShape(preprocess), data }]];
    },
    read([outputs = []], decoded) {
      const classification = classify(floatsOf(outputs, output?.name ?? ""), postprocess);
      const { label, confidence, classes } = classification;
      return {
        answer: { label, confidence, classes },
        label,
        features: () =>
          decoded.kind === "image"
            ? featureValues(imageFeatures(decoded), classification)
            : { confidence, class: label },
        fault: (expected, { tolerance }) => classificationFault(classification, expected, tolerance),
      };
    },
    blank: () => ({ kind: "image", data: new Uint8Array(width * height * 3), width, height }),
    baselineOf: (values, bins) => baselineOf(values, postprocess.labels, bins),
  };
}

function picture(input: DecodedInput): ImageInput {
  if (input.kind === "image") return input;
  throw new MusterError("internal", `a picture was expected, not ${input.kind}`);
}
