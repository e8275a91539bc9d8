import { MusterError } from "../errors.js";

/** A chunk of an artifact. */
export interface Chunk {
  /** Bytes from the start of the artifact. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** SHA-256 of the chunk, lower-case hex. */
  readonly sha256: string;
}

/** No chunk is longer, so that one always fits in a frame a broker accepts. */
export const maxChunkBytes = 256 * 1024;
const entryBytes = 36;

/** The index as bytes: per chunk its length (u32, big endian) and its digest (32 bytes). */
export function encodeChunkIndex(chunks: readonly { length: number; sha256: string }[]): Buffer {
  const bytes = Buffer.alloc(chunks.length * entryBytes);
  chunks.forEach(({ length, sha256 }, at) => {
    bytes.writeUInt32BE(length, at * entryBytes);
    bytes.write(sha256, at * entryBytes + 4, "hex");
  });
  return bytes;
}

/** Reads an index for an artifact of `sizeBytes`. Throws `artifact/index-invalid` when it does not cover it exactly. */
export function decodeChunkIndex(bytes: Uint8Array, sizeBytes: number): Chunk[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length % entryBytes !== 0) throw damaged(`${buffer.length} bytes are no multiple of ${entryBytes}`);
  const chunks: Chunk[] = [];
  let offset = 0;
  for (let at = 0; at < buffer.length; at += entryBytes) {
    const length = buffer.readUInt32BE(at);
    if (length === 0 || length > maxChunkBytes) throw damaged(`chunk ${chunks.length} has ${length} bytes`);
    chunks.push({ offset, length, sha256: buffer.toString("hex", at + 4, at + entryBytes) });
    offset += length;
  }
  if (offset !== sizeBytes) throw damaged(`chunks add up to ${offset} bytes, the artifact has ${sizeBytes}`);
  return chunks;
}

function damaged(why: string): MusterError {
  return new MusterError("artifact/index-invalid", `chunk index is damaged: ${why}`);
}
