/** Work done one after the other, in the order it was asked for; what fails holds up nothing behind it. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Does the work once all that was asked for before is over, and resolves or rejects as it does. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all that was asked for so far is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}

/** The same for many subjects, each with turns of its own; one that nothing is done for takes no memory. */
export class TurnsOf<K> {
  readonly #turns = new Map<K, { readonly turns: Turns; waiting: number }>();

  /**
   * Does the work once all that was asked for before of the same subject is over. A signal that is given before that ends the
   * wait at once with its reason, and the work is not done; once it is begun, the signal is for the work to heed.
   */
  async take<T>(subject: K, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const line = this.#turns.get(subject) ?? { turns: new Turns(), waiting: 0 };
    this.#turns.set(subject, line);
    line.waiting += 1;
    try {
      return await (signal === undefined ? line.turns.take(work) : patiently(line.turns, work, signal));
    } finally {
      line.waiting -= 1;
      if (line.waiting === 0) this.#turns.delete(subject);
    }
  }

  /** Subjects that something is done for now. */
  get busy(): number {
    return this.#turns.size;
  }
}

function patiently<T>(turns: Turns, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    const begin = async () => {
      signal.removeEventListener("abort", giveUp);
      signal.throwIfAborted();
      return work();
    };
    turns.take(begin).then(resolve, reject);
  });
}
