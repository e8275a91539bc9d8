import { mkdir, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "@muster/shared";

/**
 * Folders where a provider keeps the engines it built, one per artifact and machine. An engine runs only on the kind of
 * GPU and with the library it was built for, so another machine or build gets a folder of its own.
 */
export class EngineCache {
  readonly #root: string;
  readonly #maxBytes: number;

  constructor(root: string, maxBytes: number) {
    this.#root = root;
    this.#maxBytes = maxBytes;
  }

  /** The folder of an artifact, made if need be; those that were not asked for the longest go when all are too large. */
  async folder(artifact: string, machine: string): Promise<string> {
    const name = sha256(`${artifact} ${machine}`).slice(0, 32);
    const path = join(this.#root, name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const now = new Date();
    await utimes(path, now, now);
    await this.#prune(name);
    return path;
  }

  async #prune(keep: string): Promise<void> {
    const folders = await Promise.all(
      (await readdir(this.#root)).map(async (name) => {
        const path = join(this.#root, name);
        return { name, path, usedMs: (await stat(path)).mtimeMs, bytes: await bytesIn(path) };
      }),
    );
    folders.sort((a, b) => b.usedMs - a.usedMs || (a.name === keep ? -1 : 1));
    let bytes = 0;
    for (const { name, path, bytes: own } of folders) {
      bytes += own;
      if (bytes > this.#maxBytes && name !== keep) await rm(path, { recursive: true, force: true });
    }
  }
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
