import { categoricalFeature, continuousFeature, type Feature } from "../stats/histogram.js";

/** What one input and its answer add to the distributions drift is measured on. */
export type FeatureValues = Readonly<Record<string, number | string>>;

/** What a feature is: a number, or one of these texts. */
export type FeatureKinds = Readonly<Record<string, "number" | readonly string[]>>;

/**
 * The reference distributions of many inputs; a feature that no input has a finite number of is left out. Throws RangeError
 * without any input.
 */
export function baselineOf(
  kinds: FeatureKinds,
  values: readonly FeatureValues[],
  bins: number,
): Record<string, Feature> {
  if (values.length === 0) throw new RangeError("a baseline needs at least one input");
  const features = Object.entries(kinds).flatMap(([name, kind]): [string, Feature][] => {
    const present = values.map((value) => value[name]).filter((value) => value !== undefined);
    if (kind !== "number") return [[name, categoricalFeature(present.map(String), kind)]];
    const numbers = present.map(Number).filter(Number.isFinite);
    return numbers.length === 0 ? [] : [[name, continuousFeature(numbers, bins)]];
  });
  return Object.fromEntries(features);
}
