import type { Problem } from "../errors.js";
import type { Bundle } from "./bundle.js";
import { lacksLabels } from "./label-file.js";
import { anomalyProblems } from "./postprocess/anomaly.js";
import { classificationProblems } from "./postprocess/classification.js";
import { detectionProblems } from "./postprocess/detection.js";
import { eventsProblems } from "./postprocess/events.js";
import { rawProblems } from "./postprocess/raw.js";
import { regressionProblems } from "./postprocess/regression.js";
import { segmentationProblems } from "./postprocess/segmentation.js";
import { textProblems } from "./postprocess/text.js";
import { textDetectionProblems } from "./postprocess/text-detection.js";
import { preprocessProblems } from "./preprocess/any.js";

/** Where preprocess, tensors, postprocess and self-test of a bundle do not agree. */
export function taskProblems(bundle: Bundle): Problem[] {
  const problems = preprocessProblems(bundle.preprocess, bundle.tensors);
  // What the outputs have to be like is known once the labels are.
  return lacksLabels(bundle) ? problems : [...problems, ...postprocessProblems(bundle)];
}

function postprocessProblems(bundle: Bundle): Problem[] {
  const { tensors } = bundle;
  switch (bundle.task) {
    case "image-classification":
    case "classification":
      return classificationProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
    case "object-detection":
      return detectionProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
    case "text-detection":
      return textDetectionProblems(bundle.postprocess, tensors);
    case "text-recognition":
      return textProblems(bundle.postprocess, tensors);
    case "segmentation":
      return segmentationProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
    case "regression":
      return regressionProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
    case "anomaly-detection":
      return anomalyProblems(bundle.postprocess, tensors);
    case "audio-events":
      return eventsProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
    case "raw":
      return rawProblems(bundle.postprocess, tensors, expectations(bundle.selfTest));
  }
}

function expectations<E>({ samples }: { readonly samples: readonly { readonly expect: E }[] }): E[] {
  return samples.map(({ expect }) => expect);
}
