/**
 * Keeps collecting garbage apart from storing: a push lays blobs into the store before anything names them, and a
 * collector that came between would take them away.
 */
export class Storing {
  readonly #onNamed: () => Promise<void>;
  #running = 0;
  #sweep: Promise<unknown> | undefined;

  /**
   * `onNamed` is called whenever blobs that were stored may have been named. What it fails with it has to tell by itself: what
   * was stored is stored all the same.
   */
  constructor(onNamed: () => Promise<void> = async () => undefined) {
    this.#onNamed = onNamed;
  }

  /** Does work that stores blobs and then names them; many at once, and none while a sweep is under way. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    while (this.#sweep !== undefined) await this.#sweep;
    this.#running += 1;
    try {
      return await work().finally(() => this.#onNamed().catch(() => undefined));
    } finally {
      this.#running -= 1;
    }
  }

  /** Sweeps while nothing is being stored; false, and nothing is done, when something is. */
  async alone(sweep: () => Promise<void>): Promise<boolean> {
    if (this.#running > 0 || this.#sweep !== undefined) return false;
    const sweeping = sweep();
    this.#sweep = sweeping.catch(() => undefined);
    try {
      await sweeping;
      return true;
    } finally {
      this.#sweep = undefined;
    }
  }
}
