import { z } from "zod";

const Counts = z.array(z.int().min(0)).min(2);

/**
 * The reference distribution of one feature, and with it the bins every device counts into.
 * Bins of a continuous feature: below edges[0], then [edges[i−1], edges[i]), last at or above the last edge.
 * Bins of a categorical feature: one per category, then one for all else.
 */
export const Feature = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("continuous"), edges: z.array(z.number()).min(1), counts: Counts }),
  z.object({ kind: z.literal("categorical"), categories: z.array(z.string()).min(1), counts: Counts }),
]);
export type Feature = z.infer<typeof Feature>;

/** How many bins the feature has. */
export function binCount(feature: Feature): number {
  return (feature.kind === "continuous" ? feature.edges.length : feature.categories.length) + 1;
}

/** The bin of a value: the number for a continuous feature, the text for a categorical one. */
export function binOf(feature: Feature, value: number | string): number {
  if (feature.kind === "categorical") {
    const at = feature.categories.indexOf(String(value));
    return at === -1 ? feature.categories.length : at;
  }
  const number = Number(value);
  const above = feature.edges.findIndex((edge) => number < edge);
  return above === -1 ? feature.edges.length : above;
}

/**
 * The reference distribution of a continuous feature, cut into at most `bins` bins of equal shares.
 * Equal values share an edge, so there can be fewer bins. Throws RangeError without values.
 */
export function continuousFeature(values: readonly number[], bins: number): Feature {
  if (values.length === 0) throw new RangeError("a feature needs at least one reference value");
  const sorted = [...values].sort((a, b) => a - b);
  const cuts = Array.from({ length: bins - 1 }, (_, at) => sorted[Math.floor(((at + 1) * sorted.length) / bins)] ?? 0);
  const edges = [...new Set(cuts)];
  return counted({ kind: "continuous", edges, counts: new Array<number>(edges.length + 1).fill(0) }, values);
}

/** The reference distribution of a categorical feature over the given categories. */
export function categoricalFeature(values: readonly string[], categories: readonly string[]): Feature {
  const counts = new Array<number>(categories.length + 1).fill(0);
  return counted({ kind: "categorical", categories: [...categories], counts }, values);
}

/** Bin by bin sum of two counts; the shorter one counts as zeros beyond its end. */
export function addCounts(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, at) => (a[at] ?? 0) + (b[at] ?? 0));
}

function counted(feature: Feature, values: readonly (number | string)[]): Feature {
  for (const value of values) {
    const bin = binOf(feature, value);
    feature.counts[bin] = (feature.counts[bin] ?? 0) + 1;
  }
  return feature;
}
