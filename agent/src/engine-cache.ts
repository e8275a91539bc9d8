import { lstat, mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineFileName, sha256 } from "@muster/shared";
import { isMissing, syncFolder } from "@muster/shared/node";

/** A file that a provider keeps. */
export interface EngineFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** It is the same file while this and its size are. */
  readonly changedMs: number;
}

const ownFolder = /^[0-9a-f]{32}-[0-9a-f]{16}$/;
/** As a folder was called while its name did not tell the artifact; there may be weights of an encrypted model in it. */
const formerFolder = /^[0-9a-f]{32}$/;
/** What a folder is called while it is being filled. */
const filling = ".filling";
/** In a folder whose engine was built elsewhere; no provider's file is hidden. */
const mark = ".taken";

/**
 * Folders where a provider keeps the engines it built, one per artifact and machine. An engine runs only on the kind of
 * GPU and with the library it was built for, so another machine or build gets a folder of its own.
 */
export class EngineCache {
  readonly #root: string;
  readonly #maxBytes: number;
  /** Folders that are being filled now. */
  readonly #filling = new Set<string>();

  constructor(root: string, maxBytes: number) {
    this.#root = root;
    this.#maxBytes = maxBytes;
  }

  /** The folder of an artifact, made if need be; those that were not asked for the longest go when all are too large. */
  async folder(artifact: string, machine: string): Promise<string> {
    const path = this.#path(artifact, machine);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const now = new Date();
    await utimes(path, now, now);
    await this.#prune(path);
    return path;
  }

  /** What a provider keeps of an artifact, by name; nothing when there is no folder. */
  async files(artifact: string, machine: string): Promise<EngineFile[]> {
    return (await filesIn(this.#path(artifact, machine))).filter(({ name }) => EngineFileName.safeParse(name).success);
  }

  /**
   * Puts an engine that was built elsewhere in place, durably and whole or not at all; `fill` writes its files into the
   * folder it is given. One that is there by then stays.
   */
  async put(artifact: string, machine: string, fill: (folder: string) => Promise<void>): Promise<void> {
    const path = this.#path(artifact, machine);
    const beside = `${path}${filling}`;
    this.#filling.add(beside);
    try {
      await rm(beside, { recursive: true, force: true });
      await mkdir(beside, { recursive: true, mode: 0o700 });
      await fill(beside);
      await writeFile(join(beside, mark), "", { mode: 0o600 });
      await syncFolder(beside);
      if ((await this.files(artifact, machine)).length > 0) return;
      await rm(path, { recursive: true, force: true });
      await rename(beside, path);
      await syncFolder(this.#root);
    } finally {
      await rm(beside, { recursive: true, force: true });
      this.#filling.delete(beside);
    }
  }

  /** Throws away what is kept of an artifact, for whatever machine, and folders that do not tell what they are of. */
  async drop(artifact: string): Promise<void> {
    for (const name of (await readdir(this.#root).catch(unlessGone)) ?? []) {
      if (!name.startsWith(ofArtifact(artifact)) && !formerFolder.test(name)) continue;
      await rm(join(this.#root, name), { recursive: true, force: true });
    }
  }

  #path(artifact: string, machine: string): string {
    return join(this.#root, `${ofArtifact(artifact)}${sha256(machine).slice(0, 16)}`);
  }

  async #prune(keep: string): Promise<void> {
    const folders: { path: string; usedMs: number; bytes: number }[] = [];
    for (const name of await readdir(this.#root)) {
      const path = join(this.#root, name);
      // What a killed agent was filling is worth nothing; what else lies here is not ours.
      const left = name.endsWith(filling) && !this.#filling.has(path);
      if (left || formerFolder.test(name)) await rm(path, { recursive: true, force: true });
      const found = ownFolder.test(name) ? await stat(path).catch(unlessGone) : undefined;
      if (found?.isDirectory() !== true) continue;
      const bytes = (await filesIn(path)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      folders.push({ path, usedMs: found.mtimeMs, bytes });
    }
    folders.sort((a, b) => b.usedMs - a.usedMs || (a.path === keep ? -1 : 1));
    let bytes = 0;
    for (const { path, bytes: own } of folders) {
      bytes += own;
      if (bytes > this.#maxBytes && path !== keep) await rm(path, { recursive: true, force: true });
    }
  }
}

/** How the names of an artifact's folders begin. */
function ofArtifact(artifact: string): string {
  return `${sha256(artifact).slice(0, 32)}-`;
}

/** Whether what a folder of the cache holds was built elsewhere. */
export async function isTaken(folder: string): Promise<boolean> {
  return (await lstat(join(folder, mark)).catch(unlessGone)) !== undefined;
}

/** Empties a folder of the cache, so that its engine is built anew. */
export async function emptyEngineFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (name !== mark) await rm(join(folder, name), { recursive: true });
  // Last: what a kill leaves behind is still known as built elsewhere.
  await rm(join(folder, mark), { force: true });
}

/** The files in a folder, in the order of their names; a provider may write there meanwhile. */
async function filesIn(folder: string): Promise<EngineFile[]> {
  const names = (await readdir(folder).catch(unlessGone)) ?? [];
  const files: EngineFile[] = [];
  for (const name of names.sort()) {
    const path = join(folder, name);
    const found = await lstat(path).catch(unlessGone);
    if (found?.isFile() !== true) continue;
    files.push({ name, path, sizeBytes: found.size, changedMs: found.mtimeMs });
  }
  return files;
}

function unlessGone(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
