import { type Manifest, Turns } from "@muster/shared";
import { type Claim, crowdedOut } from "./core/crowd.js";
import type { BlobShelf } from "./ports.js";
import { shelvedManifest } from "./shelved.js";
import type { ModelState } from "./state.js";

export interface CrowdDeps {
  readonly shelf: BlobShelf;
  /** What this device knows of its models now. */
  readonly models: () => Readonly<Record<string, ModelState>>;
  /** What all models may take together; without a memory of its own, that of the machine. */
  readonly limits: { readonly maxModels: number; readonly memoryBytes: number | undefined };
}

/**
 * Gives models their places on the device. One asks after the other, and a place counts as soon as it is given: every model
 * has a loop of its own, and of many that come at once none could see the others in what is stored.
 */
export class Crowd {
  readonly #deps: CrowdDeps;
  readonly #turns = new Turns();
  /** The attempt of each model that was given a place last. */
  readonly #given = new Map<string, string>();

  constructor(deps: CrowdDeps) {
    this.#deps = deps;
  }

  /** Gives a version a place until its attempt ends, or says why there is none. */
  admit(
    { model, budgets }: Pick<Manifest, "model" | "budgets">,
    attempt: string,
    machineBytes: number,
  ): Promise<string | undefined> {
    return this.#turns.take(async () => {
      const { models, limits } = this.#deps;
      const { [model]: own, ...others } = models();
      const before = own?.committed && { model, memoryMb: await this.#memoryMb(own.committed.manifest) };
      const claims = await Promise.all(Object.entries(others).map(([name, state]) => this.#claim(name, state)));
      const beside = claims.filter((claim) => claim !== undefined);
      const { maxModels, memoryBytes = machineBytes } = limits;
      const claim = { model, memoryMb: budgets.memoryMb };
      const why = crowdedOut(claim, { before, beside }, { maxModels, memoryBytes });
      if (why === undefined) this.#given.set(model, attempt);
      return why;
    });
  }

  /** What another model has here, or will have; undefined for one that has no place yet. */
  async #claim(model: string, { committed, candidate }: ModelState): Promise<Claim | undefined> {
    const has =
      candidate !== undefined && (candidate.phase !== "offered" || this.#given.get(model) === candidate.attempt);
    const versions = [...(committed ? [committed.manifest] : []), ...(has ? [candidate.manifest.sha256] : [])];
    if (versions.length === 0) return undefined;
    const known = (await Promise.all(versions.map((digest) => this.#memoryMb(digest)))).filter(
      (mb) => mb !== undefined,
    );
    return { model, memoryMb: known.length === 0 ? undefined : Math.max(...known) };
  }

  /** A manifest that cannot be read says nothing, and its model is there all the same. */
  async #memoryMb(digest: string): Promise<number | undefined> {
    const manifest = await shelvedManifest(this.#deps.shelf, digest).catch(() => undefined);
    return manifest?.budgets.memoryMb;
  }
}
