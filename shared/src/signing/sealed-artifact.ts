import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { MusterError } from "../errors.js";

const algorithm = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

/** Bytes that encryption adds to an artifact. */
export const sealedOverheadBytes = nonceBytes + tagBytes;

/** A key for one artifact, 32 bytes; never used for a second one. */
export interface ArtifactKey {
  readonly key: Buffer;
  readonly nonce: Buffer;
}

export function newArtifactKey(): ArtifactKey {
  return { key: randomBytes(32), nonce: randomBytes(nonceBytes) };
}

/** The artifact encrypted with AES-256-GCM, as nonce, ciphertext, tag. The same key gives the same bytes again. */
export async function* sealArtifact(
  plain: AsyncIterable<Uint8Array>,
  { key, nonce }: ArtifactKey,
): AsyncGenerator<Buffer> {
  const cipher = createCipheriv(algorithm, key, nonce);
  yield nonce;
  for await (const bytes of plain) yield cipher.update(bytes);
  yield Buffer.concat([cipher.final(), cipher.getAuthTag()]);
}

/** The plain artifact. Throws `artifact/undecryptable` when it was not encrypted with this key, or was changed. */
export function openArtifact(sealed: Uint8Array, key: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new MusterError("artifact/undecryptable", "the artifact cannot be decrypted with the key given for it", {
      cause,
    });
  }
}
