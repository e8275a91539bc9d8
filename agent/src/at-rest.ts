import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { MusterError } from "@muster/shared";
import { readIfThere, writeDurably } from "@muster/shared/node";

/** How records lie on the disk. */
export interface AtRest {
  seal(text: string): Uint8Array;
  /** Reads what either kind has written. Throws `store/damaged`. */
  open(bytes: Buffer): string;
}

/** First byte of a sealed record; text of JSON never begins with it. */
const marker = 1;
const nonceBytes = 12;
const tagBytes = 16;

/** Records as they are. */
export const inTheClear: AtRest = { seal: (text) => Buffer.from(text), open: (bytes) => openRecord(bytes, undefined) };

/**
 * Records under AES-256-GCM with the key in a file of 64 hex digits, which is made when it is not there (mode 0600). Kept
 * on another medium than the records, it makes a stolen disk worthless. Throws `store/damaged` when it is no key.
 */
export async function encryptedAtRest(keyFile: string): Promise<AtRest> {
  const known = await readIfThere(keyFile);
  const key = known === undefined ? randomBytes(32) : Buffer.from(known.trim(), "hex");
  if (key.length !== 32) throw new MusterError("store/damaged", `${keyFile} is no key of 64 hex digits; restore it`);
  if (known === undefined) await writeDurably(keyFile, `${key.toString("hex")}\n`);
  return { seal: (text) => sealRecord(text, key), open: (bytes) => openRecord(bytes, key) };
}

function sealRecord(text: string, key: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([Buffer.from([marker]), nonce, sealed, cipher.getAuthTag()]);
}

function openRecord(bytes: Buffer, key: Buffer | undefined): string {
  if (bytes[0] !== marker) return bytes.toString("utf8");
  if (key === undefined) throw new MusterError("store/damaged", "the record is encrypted; set encryptAtRest again");
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(1, 1 + nonceBytes));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const text = decipher.update(bytes.subarray(1 + nonceBytes, -tagBytes));
    return Buffer.concat([text, decipher.final()]).toString("utf8");
  } catch (cause) {
    throw new MusterError("store/damaged", "the record was changed, or encrypted with another key", { cause });
  }
}
