/** A shared run may take so much longer per input before it counts as slower: times vary. */
const tolerance = 1.08;
/** So many runs of a kind are seen before they are judged; the last few count most. */
const enough = 8;
/** One in so many runs is shared all the same, to see whether that has changed. */
const lookAgain = 100;

/**
 * Whether inputs should share runs, by what they took so far. On a GPU eight cost little more than one; on a processor the
 * numbers of a large model's batch fall out of the cache, and each input takes a quarter longer.
 */
export class BatchWorth {
  readonly #alone = new Mean();
  readonly #shared = new Mean();
  #sinceShared = 0;

  /** A run of so many inputs took so long. */
  saw(rows: number, ms: number): void {
    if (rows === 1) {
      this.#alone.add(ms);
      this.#sinceShared += 1;
    } else {
      this.#shared.add(ms / rows);
      this.#sinceShared = 0;
    }
  }

  /** How many inputs the next run should hold at most, out of what is allowed. */
  rows(allowed: number): number {
    const judged = this.#alone.count >= enough && this.#shared.count >= enough;
    const slower = judged && this.#shared.value > this.#alone.value * tolerance;
    return slower && this.#sinceShared < lookAgain ? 1 : allowed;
  }
}

/** A mean in which what was long ago fades. */
class Mean {
  value = 0;
  count = 0;

  add(value: number): void {
    this.count += 1;
    this.value += (value - this.value) / Math.min(this.count, enough);
  }
}
