import { categoricalFeature, continuousFeature, type Feature } from "../stats/histogram.js";
import type { Classification } from "./classification.js";
import { type ImageFeatures, imageFeatureNames } from "./image-features.js";

/** The values of every feature for one classified picture. */
export type FeatureValues = Readonly<Record<string, number | string>>;

/** What one classified picture adds to the distributions drift is measured on: its look, and the answer. */
export function featureValues(image: ImageFeatures, answer: Classification): FeatureValues {
  return { ...image, confidence: answer.confidence, class: answer.label };
}

/** The reference distributions of a set of classified pictures. Throws RangeError without any. */
export function baselineOf(
  values: readonly FeatureValues[],
  labels: readonly string[],
  bins: number,
): Record<string, Feature> {
  const numbers = [...imageFeatureNames, "confidence"];
  return {
    ...Object.fromEntries(
      numbers.map((name) => [
        name,
        continuousFeature(
          values.map((value) => Number(value[name])),
          bins,
        ),
      ]),
    ),
    class: categoricalFeature(
      values.map((value) => String(value.class)),
      labels,
    ),
  };
}
