import { chiSquareQuantile } from "./quantile.js";

/** Added to every bin before shares are formed, so that an empty bin does not make a distance infinite. */
const pseudoCount = 0.5;

/** The sum of counts. */
export function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * Population stability index of two histograms with the same bins: Σ (p − q) ln(p / q), ≥ 0,
 * 0 when the shares are equal. Each bin is smoothed with half a count.
 */
export function psi(current: readonly number[], reference: readonly number[]): number {
  return pairs(current, reference).reduce((sum, [p, q]) => sum + (p - q) * Math.log(p / q), 0);
}

/** Jensen–Shannon divergence in bits, 0..1, smoothed like {@link psi}. */
export function jensenShannon(current: readonly number[], reference: readonly number[]): number {
  return pairs(current, reference).reduce((sum, [p, q]) => {
    const middle = (p + q) / 2;
    return sum + (p * Math.log2(p / middle) + q * Math.log2(q / middle)) / 2;
  }, 0);
}

/** Kolmogorov–Smirnov distance over the bins, 0..1: the largest gap between the cumulative shares. */
export function kolmogorovSmirnov(current: readonly number[], reference: readonly number[]): number {
  return Math.max(0, ...cumulativeGaps(current, reference).map(Math.abs));
}

/** Wasserstein-1 distance in bins: how many bins the mass has to be moved on average. */
export function wasserstein(current: readonly number[], reference: readonly number[]): number {
  return cumulativeGaps(current, reference).reduce((sum, gap) => sum + Math.abs(gap), 0);
}

/** What the threshold of a PSI depends on. */
export interface PsiSample {
  readonly bins: number;
  /** Values in the current histogram. */
  readonly current: number;
  /** Values in the reference histogram. */
  readonly reference: number;
  /** How many features are tested together. */
  readonly features: number;
}

/** The chance of a false alarm over all features of one evaluation. */
export const falseAlarmRate = 0.001;
/** A smaller change is not worth an alarm however sure it is. */
export const psiFloor = 0.1;

/**
 * The PSI above which a change is real. Without a change, PSI is about χ²(bins − 1) · (1/n + 1/m)
 * (Yurdakul, "Statistical properties of the population stability index", 2018); the level is
 * corrected for the number of features (Bonferroni), and never below {@link psiFloor}.
 */
export function psiThreshold({ bins, current, reference, features }: PsiSample): number {
  if (current === 0 || reference === 0) return Number.POSITIVE_INFINITY;
  const level = 1 - falseAlarmRate / Math.max(1, features);
  return Math.max(psiFloor, chiSquareQuantile(level, Math.max(1, bins - 1)) * (1 / current + 1 / reference));
}

function shares(counts: readonly number[], bins: number): number[] {
  const sum = total(counts) + pseudoCount * bins;
  return Array.from({ length: bins }, (_, at) => ((counts[at] ?? 0) + pseudoCount) / sum);
}

function pairs(current: readonly number[], reference: readonly number[]): [number, number][] {
  const bins = Math.max(current.length, reference.length);
  const q = shares(reference, bins);
  return shares(current, bins).map((p, at) => [p, q[at] ?? 0]);
}

function cumulativeGaps(current: readonly number[], reference: readonly number[]): number[] {
  const n = total(current) || 1;
  const m = total(reference) || 1;
  let gap = 0;
  return Array.from({ length: Math.max(current.length, reference.length) }, (_, at) => {
    gap += (current[at] ?? 0) / n - (reference[at] ?? 0) / m;
    return gap;
  });
}
