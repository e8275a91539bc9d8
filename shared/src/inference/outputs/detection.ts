import { type DetectionPostprocess, type ObjectsExpectation, pictureSides } from "../../model/postprocess/detection.js";
import type { Tensors } from "../../model/tensors.js";
import type { DecodedInput } from "../decoded-input.js";
import type { OutputSide, SelfTestLimits } from "../pipeline.js";
import { boxesFault, boxInPicture } from "./boxes.js";
import type { Size } from "./candidate-box.js";
import { detectorFormat } from "./detector-formats.js";
import { suppress } from "./suppress.js";

/** How exact found boxes and masks have to be. */
export interface OverlapLimits extends SelfTestLimits {
  readonly minIou: number;
}

/** The label of a picture in which nothing was found. */
export const nothing = "none";

/** Objects with a box each, in pixels of the picture that was sent. */
export function detectionOutput(
  spec: DetectionPostprocess,
  tensors: Tensors,
): OutputSide<ObjectsExpectation, OverlapLimits> {
  const candidates = detectorFormat(spec, tensors);
  // The model has suppressed its own boxes already.
  const options = spec.format === "end-to-end" ? { ...spec, iouThreshold: 1 } : spec;
  return {
    featureKinds: { objects: "number", confidence: "number", class: [...spec.labels, nothing] },
    read([outputs = []], input) {
      const objects = suppress(candidates(outputs, tensorSize(input, tensors)), options).map(
        ({ edges, score, klass }) => ({
          label: spec.labels[klass] ?? "",
          confidence: score,
          box: boxInPicture(input, edges),
        }),
      );
      const label = objects[0]?.label ?? nothing;
      return {
        answer: { objects },
        label,
        features: { objects: objects.length, confidence: meanConfidence(objects), class: label },
        fault: (expected, limits) => boxesFault(objects, expected.objects, { ...limits, threshold: spec.threshold }),
      };
    },
  };
}

/** The mean confidence of what was found; 0 without any. */
export function meanConfidence(found: readonly { readonly confidence: number }[]): number {
  return found.reduce((sum, { confidence }) => sum + confidence, 0) / Math.max(1, found.length);
}

/** Pixels of the tensor the model saw. */
function tensorSize(input: DecodedInput, { inputs }: Tensors): Size {
  if (input.kind === "image") return input;
  const own = input.kind === "tensors" ? input.tensors[0]?.shape : undefined;
  return pictureSides(own ?? inputs[0]?.shape ?? []);
}
