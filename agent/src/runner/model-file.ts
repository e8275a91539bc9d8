import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Manifest, MusterError, openArtifact, sha256 } from "@muster/shared";
import { isMissing } from "@muster/shared/node";

/** Makes sure that a file is what it should be. Throws `artifact/digest-mismatch`, `artifact/missing`. */
export async function verifyModelFile(path: string, digest: string): Promise<void> {
  const hash = createHash("sha256");
  try {
    // In small parts: the thread that answers requests does this in between.
    for await (const part of createReadStream(path, { highWaterMark: 128 * 1024 })) hash.update(part as Buffer);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new MusterError("artifact/missing", `there is no model file ${path}; fetch it again`, { cause });
  }
  const actual = hash.digest("hex");
  if (actual === digest) return;
  throw new MusterError(
    "artifact/digest-mismatch",
    `model file ${path} has digest ${actual}, the manifest says ${digest}; fetch it again`,
  );
}

/** What opens an encrypted model file. */
export interface Decryption {
  /** Base64. */
  readonly key: string;
  /** The digest of the model inside, which the manifest vouches for whoever made the key. */
  readonly plainSha256: string;
}

/** How the artifact is decrypted; undefined when it is not encrypted. */
export function decryptionOf({ variants }: Manifest, digest: string, key: string | undefined): Decryption | undefined {
  const encryption = variants.find(({ artifact }) => artifact.sha256 === digest)?.artifact.encryption;
  if (encryption === undefined || key === undefined) return undefined;
  return { key, plainSha256: encryption.plainSha256 };
}

/** What a session is made from: the path of a plain file, the decrypted bytes of another. Throws `artifact/undecryptable`. */
export async function modelSource(path: string, decryption: Decryption | undefined): Promise<string | Uint8Array> {
  if (decryption === undefined) return path;
  const plain = openArtifact(await readFile(path), Buffer.from(decryption.key, "base64"));
  if (sha256(plain) === decryption.plainSha256) return plain;
  throw new MusterError("artifact/undecryptable", "the decrypted artifact is not the model its manifest names");
}
