import type { Clock, Log } from "@muster/shared";
import type { BlobShelf } from "./ports.js";
import { shelvedManifest } from "./shelved.js";
import type { AgentState, Installed } from "./state.js";

export interface UpkeepDeps {
  readonly shelf: BlobShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => AgentState;
  /** A file of an installed version is missing, or is not what its digest says. */
  readonly onDamaged: (model: string, installed: Installed) => void;
}

const everyMs = 86_400_000;

/**
 * Reads the files of installed versions again, of those that serve and of those to go back to: once a day, and when one could not be loaded. A disk tells nobody that
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
    const { state, log, onDamaged } = this.#deps;
    const kept = (model: string) => [state().models[model]?.committed, state().models[model]?.previous];
    for (const model of Object.keys(state().models)) {
      for (const installed of kept(model)) {
        if (installed === undefined) continue;
        const blob = await this.#damagedBlob(installed);
        // It may have been replaced while it was read.
        const still = kept(model).some((entry) => entry?.manifest === installed.manifest);
        if (blob === undefined || !still) continue;
        log.error("model.damaged", { model, version: installed.version, blob });
        onDamaged(model, installed);
      }
    }
  }

  async #damagedBlob({ manifest, artifact }: Installed): Promise<string | undefined> {
    const { shelf } = this.#deps;
    if (!(await shelf.isWhole(manifest))) return manifest;
    const { files = [] } = await shelvedManifest(shelf, manifest);
    for (const blob of [artifact, ...files.map(({ sha256 }) => sha256)]) if (!(await shelf.isWhole(blob))) return blob;
    return undefined;
  }
}
