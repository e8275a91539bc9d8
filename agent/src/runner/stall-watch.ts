import type { Clock } from "@muster/shared";

/** Notices when nothing came for a while. */
export class StallWatch {
  readonly afterMs: number;
  readonly #end = new AbortController();
  #seen = 0;
  #stalled = false;

  /** Calls `onStall` once when {@link saw} was not called for `afterMs`, and at most twice as long. */
  constructor(clock: Clock, afterMs: number, onStall: () => void) {
    this.afterMs = afterMs;
    void this.#run(clock, onStall);
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  saw(): void {
    this.#seen += 1;
  }

  end(): void {
    this.#end.abort();
  }

  async #run(clock: Clock, onStall: () => void): Promise<void> {
    const { signal } = this.#end;
    for (let before = -1; before !== this.#seen; ) {
      before = this.#seen;
      await clock.sleep(this.afterMs, signal).catch(() => undefined);
      if (signal.aborted) return;
    }
    this.#stalled = true;
    onStall();
  }
}
