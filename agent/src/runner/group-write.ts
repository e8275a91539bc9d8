import type { Clock } from "@muster/shared";

const againMs = 1000;

/** Writes what piles up in one go: whoever asks while a write goes on shares the next one, and so a flush of the disk. */
export class GroupWrite {
  readonly #clock: Clock;
  readonly #write: () => Promise<void>;
  readonly #stop = new AbortController();
  /** One after the other. */
  #turn: Promise<void> = Promise.resolve();
  /** The write that will take what is there when it begins. */
  #next: Promise<void> | undefined;

  /** `write` leaves nothing behind, or throws and is called again after a while. */
  constructor(clock: Clock, write: () => Promise<void>) {
    this.#clock = clock;
    this.#write = write;
  }

  /** Resolves when all that is there now is written; rejects with what the write throws. */
  written(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#turn.then(() => {
      this.#next = undefined;
      return this.#write();
    });
    this.#next = next;
    this.#turn = next.catch(() => this.#again());
    return next;
  }

  /** Has what is there written soon. */
  soon(): void {
    this.written().catch(() => undefined);
  }

  /** Ends the attempts, with a last one. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.written().catch(() => undefined);
  }

  #again(): void {
    const { signal } = this.#stop;
    if (!signal.aborted)
      void this.#clock.sleep(againMs, signal).then(
        () => this.soon(),
        () => undefined,
      );
  }
}
