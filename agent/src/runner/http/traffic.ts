/** Counts requests and connections since the start. */
export class Traffic {
  readonly #answered = new Map<number, number>();
  #dropped = 0;
  #refused = 0;
  #gone = 0;

  /** A request got its answer. */
  answered(status: number): void {
    this.#answered.set(status, (this.#answered.get(status) ?? 0) + 1);
  }

  /** A connection was closed because there were too many. */
  dropped(): void {
    this.#dropped += 1;
  }

  /** A connection was closed because of what it sent, or how slowly. */
  refused(): void {
    this.#refused += 1;
  }

  /** A client went away before it had its answer. */
  gone(): void {
    this.#gone += 1;
  }

  counts() {
    const answered = [...this.#answered].map(([status, count]) => ({ status, count }));
    return { answered, dropped: this.#dropped, refused: this.#refused, gone: this.#gone };
  }
}
