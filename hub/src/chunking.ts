import { createHash } from "node:crypto";
import type { BlobStore } from "@muster/shared";
import { chunkBounds, firstChunkLength } from "./core/fastcdc.js";

const readBytes = 1024 * 1024;

/** The bytes of a stored blob, piece by piece, so that a large one never sits in memory whole. */
export async function* blobBytes(store: BlobStore, digest: string): AsyncGenerator<Buffer> {
  for (let offset = 0; ; ) {
    const bytes = await store.read(digest, offset, readBytes);
    if (bytes.length === 0) return;
    yield bytes;
    offset += bytes.length;
  }
}

/** Length and digest of every chunk of a stream of bytes, in order. Holds at most one read and one chunk. */
export async function chunkUp(source: AsyncIterable<Uint8Array>): Promise<{ length: number; sha256: string }[]> {
  const chunks: { length: number; sha256: string }[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  const cut = (bytes: Uint8Array) => {
    const length = firstChunkLength(bytes);
    chunks.push({ length, sha256: createHash("sha256").update(bytes.subarray(0, length)).digest("hex") });
    return bytes.subarray(length);
  };
  for await (const bytes of source) {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= chunkBounds.max) rest = cut(rest);
  }
  while (rest.length > 0) rest = cut(rest);
  return chunks;
}

/** Stores bytes under their digest and names them. */
export function storeBytes(store: BlobStore, bytes: Buffer): Promise<{ sha256: string; sizeBytes: number }> {
  async function* once() {
    yield bytes;
  }
  return store.add(once(), bytes.length);
}
