import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type BuiltEngine, type Log, maxEngineFiles, messageOf, Turns } from "@muster/shared";
import { keepsEngines } from "./core/provider-plan.js";
import type { EngineCache, EngineFile } from "./engine-cache.js";
import type { Installed } from "./state.js";

export interface BuiltEnginesDeps {
  readonly cache: Pick<EngineCache, "files">;
  /** What engines belong to now; see {@link machineKey}. */
  readonly machine: () => Promise<string>;
  /** The committed versions. */
  readonly committed: () => readonly Installed[];
  /** What {@link BuiltEngines.of} says has changed. */
  readonly onChange: () => void;
  readonly log: Log;
}

/** Engines whose digests are remembered. */
const maxRemembered = 64;

/** What providers built of the committed versions, as the hub is told of it and may ask for it. */
export class BuiltEngines {
  readonly #deps: BuiltEnginesDeps;
  /** By artifact: digests of its files, by all that tells one file from another. */
  readonly #digests = new Map<string, ReadonlyMap<string, string>>();
  readonly #hashing = new Set<string>();
  readonly #turns = new Turns();

  constructor(deps: BuiltEnginesDeps) {
    this.#deps = deps;
  }

  /**
   * What was built of an installed version; undefined when nothing was, and until its files are hashed, which happens once.
   * An engine of an encrypted model holds its weights in the clear, so there is none that anybody hears of.
   */
  async of(installed: Installed): Promise<BuiltEngine | undefined> {
    const { artifact } = installed;
    const files = await this.#files(installed);
    // A part of an engine would spare others little.
    if (files.length === 0 || files.length > maxEngineFiles) return undefined;
    const known = this.#digests.get(artifact);
    const told = files.map((file) => ({ ...file, sha256: known?.get(stampOf(file)) }));
    if (told.some(({ sha256 }) => sha256 === undefined)) {
      this.#hash(artifact, files);
      return undefined;
    }
    return { artifact, files: told.map(({ name, sizeBytes, sha256 = "" }) => ({ name, sizeBytes, sha256 })) };
  }

  /**
   * Where a file lies that the hub is told of, by its name in the listing; undefined when it is not told of, or no longer.
   * Whoever asks just after a start waits for what is being hashed.
   */
  async find(artifact: string, name: string): Promise<EngineFile | undefined> {
    const installed = this.#deps.committed().find((one) => one.artifact === artifact);
    if (installed === undefined) return undefined;
    if ((await this.of(installed)) === undefined) await this.#turns.over();
    if ((await this.of(installed)) === undefined) return undefined;
    return (await this.#files(installed)).find((file) => file.name === name);
  }

  async #files({ artifact, provider, wrappedKey }: Installed): Promise<EngineFile[]> {
    if (!keepsEngines(provider) || wrappedKey !== undefined) return [];
    const { cache, machine } = this.#deps;
    return (await cache.files(artifact, await machine())).filter(({ sizeBytes }) => sizeBytes > 0);
  }

  #hash(artifact: string, files: readonly EngineFile[]): void {
    if (this.#hashing.has(artifact)) return;
    this.#hashing.add(artifact);
    const { log, onChange } = this.#deps;
    void this.#turns.take(async () => {
      try {
        const digests = new Map<string, string>();
        for (const file of files) digests.set(stampOf(file), await digestOf(file.path));
        this.#remember(artifact, digests);
        onChange();
      } catch (error) {
        // A provider that is writing there will be done, and then the next report asks again.
        log.debug("engine.unhashed", { artifact, reason: messageOf(error) });
      } finally {
        this.#hashing.delete(artifact);
      }
    });
  }

  #remember(artifact: string, digests: ReadonlyMap<string, string>): void {
    this.#digests.delete(artifact);
    this.#digests.set(artifact, digests);
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > maxRemembered && oldest !== undefined) this.#digests.delete(oldest);
  }
}

/** A file that is written while it is hashed has another stamp afterwards. */
function stampOf({ name, sizeBytes, changedMs }: EngineFile): string {
  return `${name} ${sizeBytes} ${changedMs}`;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  // In small parts: whatever else this process does comes in between.
  for await (const part of createReadStream(path, { highWaterMark: 128 * 1024 })) hash.update(part as Buffer);
  return hash.digest("hex");
}
