import { writeFile } from "node:fs/promises";
import { MusterError } from "../errors.js";
import { sha256 } from "../ids.js";
import type { BlobStore, DocStore } from "../ports.js";

/** A document in memory; what is read is a copy, as it would be from disk. */
export class MemoryDoc<T> implements DocStore<T> {
  #text: string;

  constructor(initial: T) {
    this.#text = JSON.stringify(initial);
  }

  async read(): Promise<T> {
    return JSON.parse(this.#text) as T;
  }

  async write(next: T): Promise<void> {
    this.#text = JSON.stringify(next);
  }
}

/** Blobs in memory. */
export class MemoryBlobs implements BlobStore {
  readonly #blobs = new Map<string, { bytes: Buffer; modifiedMs: number }>();

  async size(digest: string): Promise<number | undefined> {
    return this.#blobs.get(digest)?.bytes.length;
  }

  async read(digest: string, offset: number, length: number): Promise<Buffer> {
    return Buffer.from(this.#get(digest).subarray(offset, offset + length));
  }

  async readInto(digest: string, offset: number, targets: readonly Uint8Array[]): Promise<number> {
    const bytes = this.#get(digest);
    let read = 0;
    for (const target of targets) read += bytes.copy(target, 0, offset + read);
    return read;
  }

  async write(digest: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    const bytes = await collected(source, maxBytes);
    if (sha256(bytes) !== digest)
      throw new MusterError("artifact/digest-mismatch", `bytes have digest ${sha256(bytes)}, expected ${digest}`);
    this.#blobs.set(digest, { bytes, modifiedMs: Date.now() });
    return bytes.length;
  }

  async add(
    source: AsyncIterable<Uint8Array>,
    maxBytes: number,
    beforeKept?: (digest: string) => Promise<void>,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    const bytes = await collected(source, maxBytes);
    const digest = sha256(bytes);
    await beforeKept?.(digest);
    this.#blobs.set(digest, { bytes, modifiedMs: Date.now() });
    return { sha256: digest, sizeBytes: bytes.length };
  }

  async toFile(digest: string, path: string): Promise<void> {
    await writeFile(path, this.#get(digest), { flag: "wx" });
  }

  async delete(digest: string): Promise<void> {
    this.#blobs.delete(digest);
  }

  async *list(): AsyncIterable<{ digest: string; sizeBytes: number; modifiedMs: number }> {
    for (const [digest, { bytes, modifiedMs }] of this.#blobs) yield { digest, sizeBytes: bytes.length, modifiedMs };
  }

  #get(digest: string): Buffer {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) throw new MusterError("artifact/missing", `no blob ${digest} in the store`);
    return blob.bytes;
  }
}

async function collected(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of source) {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) throw new MusterError("artifact/too-large", `blob has more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
