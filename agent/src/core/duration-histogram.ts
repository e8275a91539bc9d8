/** Upper ends of the buckets, milliseconds; what takes longer is in the count alone. */
export const bucketEndsMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** Counts durations in fixed buckets, so that whoever reads it now and then can tell quantiles of any span between. */
export class DurationHistogram {
  readonly #counts = new Array<number>(bucketEndsMs.length).fill(0);
  #count = 0;
  #sumMs = 0;

  /** Takes in one duration; one that ends a bucket belongs to it. */
  add(ms: number): void {
    this.#count += 1;
    this.#sumMs += ms;
    const at = bucketEndsMs.findIndex((endMs) => ms <= endMs);
    if (at !== -1) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumMs;
  }

  /** How many took as long as the end of each bucket or less, in the order of {@link bucketEndsMs}. */
  upTo(): number[] {
    let sum = 0;
    return this.#counts.map((count) => {
      sum += count;
      return sum;
    });
  }
}
