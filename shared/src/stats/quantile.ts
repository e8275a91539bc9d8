/**
 * The quantile of the standard normal distribution, 0 < p < 1, absolute error below 4.5e-4
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23).
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`a probability lies between 0 and 1, not ${p}`);
  if (p < 0.5) return -normalQuantile(1 - p);
  const t = Math.sqrt(-2 * Math.log(1 - p));
  const above = 2.515517 + t * (0.802853 + t * 0.010328);
  const below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  return t - above / below;
}

/**
 * The quantile of the χ² distribution by the Wilson–Hilferty cube (1931); within 2 % of the true
 * value for p ≥ 0.9 and three or more degrees of freedom, which is what thresholds need.
 */
export function chiSquareQuantile(p: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * Math.max(0, 1 - spread + normalQuantile(p) * Math.sqrt(spread)) ** 3;
}
