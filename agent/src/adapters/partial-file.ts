import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MusterError, sha256 } from "@muster/shared";
import { readIfThere, syncFolder } from "@muster/shared/node";
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

/**
 * Opens a partial file of full length and its journal of ranges. What the journal claims is hashed
 * again, because a power cut may have kept the journal and lost the data.
 */
export async function openPartial(options: PartialOptions): Promise<PartialBlob> {
  const path = join(options.folder, `${options.digest}.part`);
  const journalPath = join(options.folder, `${options.digest}.journal`);
  const claimed = new Set((await readIfThere(journalPath))?.split("\n").map(Number) ?? []);
  const file = await open(path, claimed.size === 0 ? "w+" : "r+", 0o600).catch(() => open(path, "w+", 0o600));
  const journal = await open(journalPath, "a", 0o600);
  await file.truncate(options.sizeBytes);
  const present = new Set<number>();
  for (const { offset, length, sha256: wanted } of options.ranges) {
    if (!claimed.has(offset)) continue;
    const bytes = Buffer.allocUnsafe(length);
    await file.read(bytes, 0, length, offset);
    if (sha256(bytes) === wanted) present.add(offset);
  }
  return new PartialFile(options, { path, journalPath, file, journal }, present);
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
    const { target, digest, folder } = this.#options;
    const { path, journalPath, file, journal } = this.#files;
    try {
      await this.#turn;
      // What came in order was hashed on its way; the rest is read again.
      const rest = file.createReadStream({ start: this.#hashedBytes, autoClose: false, highWaterMark: 1024 * 1024 });
      for await (const bytes of rest) this.#hash.update(bytes as Buffer);
      const actual = this.#hash.digest("hex");
      if (actual !== digest) {
        await rm(path, { force: true });
        throw new MusterError("artifact/digest-mismatch", `blob has digest ${actual}, its manifest says ${digest}`);
      }
      await file.sync();
      await rename(path, target);
      await syncFolder(dirname(target));
    } finally {
      await file.close();
      await journal.close();
      await rm(journalPath, { force: true });
      await syncFolder(folder);
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
    const lines = this.#unsynced.map((offset) => `${offset}\n`).join("");
    this.#unsynced = [];
    this.#unsyncedBytes = 0;
    await this.#files.file.datasync();
    await this.#files.journal.appendFile(lines);
    await this.#files.journal.datasync();
  }
}
