import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Digest, MusterError } from "@muster/shared";
import { isMissing } from "@muster/shared/node";
import type { BlobShelf, PartialBlob } from "../ports.js";
import { openPartial, type PartialRange, partialFiles } from "./partial-file.js";

/** Blobs as files named by their digest, and beside them the partial ones with their journals. */
export class FolderShelf implements BlobShelf {
  readonly #blobs: string;
  readonly #partials: string;

  private constructor(folder: string) {
    this.#blobs = join(folder, "blobs");
    this.#partials = join(folder, "partials");
  }

  static async open(folder: string): Promise<FolderShelf> {
    const shelf = new FolderShelf(folder);
    await mkdir(shelf.#blobs, { recursive: true, mode: 0o700 });
    await mkdir(shelf.#partials, { recursive: true, mode: 0o700 });
    return shelf;
  }

  path(digest: string): string {
    return join(this.#blobs, Digest.parse(digest));
  }

  async has(digest: string): Promise<boolean> {
    try {
      return (await stat(this.path(digest))).isFile();
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async isWhole(digest: string): Promise<boolean> {
    const hash = createHash("sha256");
    try {
      const file = createReadStream(this.path(digest), { highWaterMark: 1024 * 1024 });
      for await (const bytes of file) hash.update(bytes as Buffer);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    return hash.digest("hex") === digest;
  }

  async diskBytes(digest: string): Promise<number> {
    let bytes = 0;
    for (const path of [this.path(digest), partialFiles(this.#partials, digest).path]) {
      const found = await stat(path).catch((error) => {
        if (!isMissing(error)) throw error;
      });
      // A partial file has its full length from the start, and takes what was written.
      bytes += (found?.blocks ?? 0) * 512;
    }
    return bytes;
  }

  async read(digest: string): Promise<Buffer> {
    try {
      return await readFile(this.path(digest));
    } catch (cause) {
      if (isMissing(cause)) throw new MusterError("artifact/missing", `no blob ${digest} on this device`, { cause });
      throw cause;
    }
  }

  async slice(digest: string, offset: number, length: number): Promise<Buffer> {
    const file = await open(this.path(digest), "r").catch((cause) => {
      throw isMissing(cause)
        ? new MusterError("artifact/missing", `no blob ${digest} on this device`, { cause })
        : cause;
    });
    try {
      const bytes = Buffer.allocUnsafe(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async remove(digest: string): Promise<void> {
    const { path, journalPath } = partialFiles(this.#partials, digest);
    for (const file of [this.path(digest), path, journalPath]) await rm(file, { force: true });
  }

  begin(digest: string, sizeBytes: number, ranges: readonly PartialRange[]): Promise<PartialBlob> {
    return openPartial({ folder: this.#partials, target: this.path(digest), digest, sizeBytes, ranges });
  }

  async keepOnly(digests: ReadonlySet<string>): Promise<void> {
    for (const folder of [this.#blobs, this.#partials]) {
      for (const name of await readdir(folder)) {
        if (!digests.has(name.split(".")[0] ?? "")) await rm(join(folder, name), { force: true });
      }
    }
  }
}
