import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MusterError, sha256 } from "@muster/shared";
import { isMissing, readIfThere, syncFolder } from "@muster/shared/node";
import type { PartialBlob } from "../ports.js";

/** A piece of a blob that can be verified by itself. */
export interface PartialRange {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

export interface PartialOptions {
  readonly folder: string;
  /** Where the whole blob goes. */
  readonly target: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly ranges: readonly PartialRange[];
}

const journalBytes = 1024 * 1024;
const journalMs = 500;

/** Where a blob lies while it is not whole, and what tells which of its ranges are there. */
export function partialFiles(folder: string, digest: string): { path: string; journalPath: string } {
  return { path: join(folder, `${digest}.part`), journalPath: join(folder, `${digest}.journal`) };
}

/**
 * Opens a partial file of full length and its journal of ranges. What the journal claims is hashed
 * again, because a power cut may have kept the journal and lost the data. A blob in the target's place is damaged, or
 * nobody would fetch it: it is taken back, and each of its ranges is looked at.
 */
export async function openPartial(options: PartialOptions): Promise<PartialBlob> {
  const { folder, digest, ranges, sizeBytes } = options;
  const { path, journalPath } = partialFiles(folder, digest);
  const back = await takenBack(options.target, path);
  const claimed = back
    ? new Set(ranges.map(({ offset }) => offset))
    : new Set((await readIfThere(journalPath))?.split("\n").map(Number) ?? []);
  const file = await openBlob(path, claimed.size > 0);
  let journal: FileHandle | undefined;
  try {
    journal = await open(journalPath, "a", 0o600);
    await file.truncate(sizeBytes);
    const present = new Set<number>();
    for (const { offset, length, sha256: wanted } of ranges) {
      if (!claimed.has(offset)) continue;
      const bytes = Buffer.allocUnsafe(length);
      await file.read(bytes, 0, length, offset);
      if (sha256(bytes) === wanted) present.add(offset);
    }
    if (back) await journal.appendFile(journalText([...present]));
    return new PartialFile(options, { path, journalPath, file, journal }, present);
  } catch (error) {
    await file.close();
    await journal?.close();
    throw error;
  }
}

async function takenBack(target: string, path: string): Promise<boolean> {
  try {
    await rename(target, path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Opens what is there, or begins anew; never empties a file only because it could not be opened. */
async function openBlob(path: string, keep: boolean): Promise<FileHandle> {
  if (!keep) return open(path, "w+", 0o600);
  return open(path, "r+", 0o600).catch((error) => {
    if (isMissing(error)) return open(path, "w+", 0o600);
    throw error;
  });
}

/** Each offset behind a line's end, so that a line that a power cut left unfinished spoils no other. */
function journalText(offsets: readonly number[]): string {
  return offsets.map((offset) => `\n${offset}`).join("");
}

interface Files {
  readonly path: string;
  readonly journalPath: string;
  readonly file: FileHandle;
  readonly journal: FileHandle;
}

class PartialFile implements PartialBlob {
  readonly present: ReadonlySet<number>;
  readonly #options: PartialOptions;
  readonly #files: Files;
  /** Of the bytes from the start that are there without a hole. */
  readonly #hash = createHash("sha256");
  #hashedBytes = 0;
  #turn: Promise<void> = Promise.resolve();
  #syncing = false;
  #failure: unknown;
  #unsynced: number[] = [];
  #unsyncedBytes = 0;
  #syncedMs = performance.now();

  constructor(options: PartialOptions, files: Files, present: ReadonlySet<number>) {
    this.#options = options;
    this.#files = files;
    this.present = present;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#files.file.write(bytes, 0, bytes.length, offset);
    if (offset === this.#hashedBytes) {
      this.#hash.update(bytes);
      this.#hashedBytes += bytes.length;
    }
    this.#unsynced.push(offset);
    this.#unsyncedBytes += bytes.length;
    const due = this.#unsyncedBytes >= journalBytes || performance.now() - this.#syncedMs >= journalMs;
    // Not waited for: what comes next is written while the disk works on what came before.
    if (due && !this.#syncing) this.#syncInBackground();
  }

  async finish(): Promise<void> {
    const { target, digest } = this.#options;
    const { path, journalPath, file, journal } = this.#files;
    try {
      await this.#turn;
      if (this.#failure !== undefined) throw this.#failure;
      // What came in order was hashed on its way; the rest is read again.
      const rest = file.createReadStream({ start: this.#hashedBytes, autoClose: false, highWaterMark: 1024 * 1024 });
      for await (const bytes of rest) this.#hash.update(bytes as Buffer);
      const actual = this.#hash.digest("hex");
      if (actual !== digest) {
        await rm(path, { force: true });
        await rm(journalPath, { force: true });
        throw new MusterError("artifact/digest-mismatch", `blob has digest ${actual}, its manifest says ${digest}`);
      }
      await file.sync();
      await rename(path, target);
      // A journal that a power cut brings back claims what is hashed again, and spoils nothing.
      await rm(journalPath, { force: true });
      await syncFolder(dirname(target));
    } finally {
      await file.close();
      await journal.close();
    }
  }

  async close(): Promise<void> {
    try {
      await this.#turn;
      await this.#sync();
    } finally {
      await this.#files.file.close();
      await this.#files.journal.close();
    }
  }

  #syncInBackground(): void {
    this.#syncing = true;
    this.#turn = this.#sync()
      .catch((error) => {
        // A full disk, for one; the next write tells.
        this.#failure = error;
      })
      .finally(() => {
        this.#syncing = false;
      });
  }

  /** The data first, then the journal that claims it. */
  async #sync(): Promise<void> {
    this.#syncedMs = performance.now();
    if (this.#unsynced.length === 0) return;
    const lines = journalText(this.#unsynced);
    this.#unsynced = [];
    this.#unsyncedBytes = 0;
    await this.#files.file.datasync();
    await this.#files.journal.appendFile(lines);
    await this.#files.journal.datasync();
  }
}
