import type { Clock, Log } from "@muster/shared";
import type { BlobShelf } from "./ports.js";
import type { AgentState } from "./state.js";

export interface UpkeepDeps {
  readonly shelf: BlobShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => AgentState;
  /** A file of a model's committed version is missing, or is not what its digest says. */
  readonly onDamaged: (model: string) => void;
}

const everyMs = 86_400_000;

/**
 * Reads the files of committed versions again: once a day, and when one could not be loaded. A disk tells nobody that
 * it has lost something, and what serves from memory does not notice before the next start.
 */
export class Upkeep {
  readonly #deps: UpkeepDeps;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #asked = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Looks soon, or once it is started. */
  look(): void {
    this.#asked = true;
    this.#wake.abort();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    for (;;) {
      if (!this.#asked) {
        this.#wake = new AbortController();
        await clock.sleep(everyMs, AbortSignal.any([this.#stop.signal, this.#wake.signal])).catch(() => undefined);
      }
      if (this.#stop.signal.aborted) return;
      this.#asked = false;
      await this.#inspect().catch((error) => log.error("upkeep.failed", { error }));
    }
  }

  async #inspect(): Promise<void> {
    const { shelf, state, log, onDamaged } = this.#deps;
    for (const [model, { committed }] of Object.entries(state().models)) {
      for (const blob of committed === undefined ? [] : [committed.manifest, committed.artifact]) {
        if (await shelf.isWhole(blob)) continue;
        // It may have been replaced while it was read.
        if (state().models[model]?.committed !== committed) break;
        log.error("model.damaged", { model, version: committed?.version, blob });
        onDamaged(model);
        break;
      }
    }
  }
}
