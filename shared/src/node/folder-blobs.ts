import { createHash, randomBytes } from "node:crypto";
import { constants, copyFile, type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MusterError } from "../errors.js";
import { Digest } from "../ids.js";
import type { BlobStore } from "../ports.js";
import { formatBytes } from "../units.js";
import { isMissing, syncFolder } from "./durable-file.js";
import { OpenFiles } from "./open-files.js";

/** Blobs as files of a folder, named by their digest. Unfinished writes are `.tmp` files, removed by {@link FolderBlobs.open}. */
export class FolderBlobs implements BlobStore {
  readonly #folder: string;
  readonly #files = new OpenFiles();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens the folder, makes it when it is missing and clears what a crash left half-written. */
  static async open(folder: string): Promise<FolderBlobs> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      if (name.endsWith(".tmp")) await rm(join(folder, name), { force: true });
    }
    return new FolderBlobs(folder);
  }

  /** Where a blob lies, whether it is there or not. */
  path(digest: string): string {
    return join(this.#folder, Digest.parse(digest));
  }

  async size(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.path(digest))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async read(digest: string, offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    return buffer.subarray(0, await this.readInto(digest, offset, [buffer]));
  }

  async readInto(digest: string, offset: number, targets: readonly Uint8Array[]): Promise<number> {
    try {
      const work = (file: FileHandle) => file.readv(targets, offset);
      return (await this.#files.use(this.path(digest), work)).bytesRead;
    } catch (error) {
      throw isMissing(error) ? missing(digest) : error;
    }
  }

  async write(digest: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    Digest.parse(digest);
    return (await this.#store(source, maxBytes, digest)).sizeBytes;
  }

  add(
    source: AsyncIterable<Uint8Array>,
    maxBytes: number,
    beforeKept?: (digest: string) => Promise<void>,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    return this.#store(source, maxBytes, undefined, beforeKept);
  }

  async #store(
    source: AsyncIterable<Uint8Array>,
    maxBytes: number,
    expected: string | undefined,
    beforeKept?: (digest: string) => Promise<void>,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    const temporary = join(this.#folder, `${randomBytes(16).toString("hex")}.tmp`);
    try {
      const blob = await writeHashed(temporary, source, maxBytes);
      if (expected !== undefined && blob.sha256 !== expected) {
        throw new MusterError("artifact/digest-mismatch", `bytes have digest ${blob.sha256}, expected ${expected}`);
      }
      await beforeKept?.(blob.sha256);
      await rename(temporary, this.path(blob.sha256));
      // What was there before may have been damaged.
      this.#files.close(this.path(blob.sha256));
      await syncFolder(this.#folder);
      return blob;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async toFile(digest: string, path: string): Promise<void> {
    try {
      await link(this.path(digest), path);
    } catch (error) {
      if (isMissing(error)) throw missing(digest);
      // Another file system, or one without hard links; what is there already stays.
      await copyFile(this.path(digest), path, constants.COPYFILE_EXCL);
    }
  }

  async delete(digest: string): Promise<void> {
    this.#files.close(this.path(digest));
    await rm(this.path(digest), { force: true });
    await syncFolder(this.#folder);
  }

  async *list(): AsyncIterable<{ digest: string; sizeBytes: number; modifiedMs: number }> {
    for (const name of await readdir(this.#folder)) {
      if (!Digest.safeParse(name).success) continue;
      const found = await stat(join(this.#folder, name)).catch((error) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      // One may be deleted while they are listed.
      if (found !== undefined) yield { digest: name, sizeBytes: found.size, modifiedMs: found.mtimeMs };
    }
  }
}

async function writeHashed(
  path: string,
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  const file = await open(path, "wx", 0o600);
  let sizeBytes = 0;
  try {
    for await (const bytes of source) {
      sizeBytes += bytes.length;
      if (sizeBytes > maxBytes) {
        throw new MusterError("artifact/too-large", `the blob has more than the ${formatBytes(maxBytes)} allowed`);
      }
      hash.update(bytes);
      await file.writeFile(bytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

function missing(digest: string): MusterError {
  return new MusterError("artifact/missing", `no blob ${digest} in the store`);
}
