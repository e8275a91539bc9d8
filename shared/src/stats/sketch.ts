import { z } from "zod";

/** Relative error of every quantile a sketch gives. */
export const sketchAccuracy = 0.01;
const gamma = (1 + sketchAccuracy) / (1 - sketchAccuracy);
const logGamma = Math.log(gamma);
/** Values below this count as zero; latencies are in milliseconds, so this is a nanosecond. */
const smallest = 1e-6;

/** A sketch as it travels and is stored. Bucket keys are indices of powers of γ = 1.01/0.99. */
export const SketchData = z.object({
  count: z.int().min(0),
  sum: z.number(),
  min: z.number(),
  max: z.number(),
  zeros: z.int().min(0),
  buckets: z.record(z.string().regex(/^-?\d{1,5}$/), z.int().min(1)),
});
export type SketchData = z.infer<typeof SketchData>;

/**
 * A mergeable summary of a distribution of non-negative numbers: DDSketch (Masson, Rim, Lee,
 * VLDB 2019). Every quantile has a relative error of at most 1 %, also after merging, which is exact.
 */
export class Sketch {
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #zeros = 0;
  readonly #buckets = new Map<number, number>();

  /** Takes in one value; negative and non-finite values are ignored. */
  add(value: number): void {
    if (!Number.isFinite(value) || value < 0) return;
    this.#count += 1;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (value < smallest) this.#zeros += 1;
    else this.#bump(Math.ceil(Math.log(value) / logGamma), 1);
  }

  /** Takes in all values of another sketch. */
  merge(other: SketchData): void {
    if (other.count === 0) return;
    this.#count += other.count;
    this.#sum += other.sum;
    this.#min = Math.min(this.#min, other.min);
    this.#max = Math.max(this.#max, other.max);
    this.#zeros += other.zeros;
    for (const [index, count] of Object.entries(other.buckets)) this.#bump(Number(index), count);
  }

  get count(): number {
    return this.#count;
  }

  get mean(): number | undefined {
    return this.#count === 0 ? undefined : this.#sum / this.#count;
  }

  /** The value below which a share `q` of 0..1 of the values lies, or undefined when there are none. */
  quantile(q: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = q * (this.#count - 1);
    let seen = this.#zeros;
    if (rank < seen) return 0;
    for (const index of [...this.#buckets.keys()].sort((a, b) => a - b)) {
      seen += this.#buckets.get(index) ?? 0;
      if (rank < seen) return Math.min(this.#max, Math.max(this.#min, (2 * gamma ** index) / (gamma + 1)));
    }
    return this.#max;
  }

  toJSON(): SketchData {
    return {
      count: this.#count,
      sum: this.#sum,
      min: this.#count === 0 ? 0 : this.#min,
      max: this.#max,
      zeros: this.#zeros,
      buckets: Object.fromEntries([...this.#buckets].map(([index, count]) => [String(index), count])),
    };
  }

  #bump(index: number, by: number): void {
    this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + by);
  }
}

/** The union of sketches. */
export function mergeSketches(parts: Iterable<SketchData>): Sketch {
  const merged = new Sketch();
  for (const part of parts) merged.merge(part);
  return merged;
}
