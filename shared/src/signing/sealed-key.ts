import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { z } from "zod";
import { MusterError } from "../errors.js";

/** The raw 32 bytes of an X25519 public key, base64: what secrets for a device are wrapped with. */
export const SealingKey = z.base64().refine(isUsable, "must be the 32 bytes of an X25519 public key");
export type SealingKey = z.infer<typeof SealingKey>;

const publicBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const info = "muster sealed key v1";

/** A new private key for {@link unwrapKey}, PKCS#8 PEM. */
export function newSealingKey(): string {
  return generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The public half of a sealing key. */
export function sealingPublicKey(pem: string): SealingKey {
  return rawPublic(createPublicKey(createPrivateKey(pem))).toString("base64");
}

/**
 * A secret that only the holder of the private key can unwrap, and only for the same purpose: an ephemeral X25519
 * agreement, HKDF-SHA256 over both public keys (RFC 5869), AES-256-GCM with the purpose as additional data.
 * Base64 of ephemeral key, nonce, ciphertext, tag.
 */
export function wrapKey(secret: Uint8Array, recipient: SealingKey, purpose: string): string {
  const ephemeral = generateKeyPairSync("x25519");
  const publicKey = Buffer.from(recipient, "base64");
  const own = rawPublic(ephemeral.publicKey);
  const nonce = randomBytes(nonceBytes);
  const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: keyOf(publicKey) });
  const cipher = createCipheriv("aes-256-gcm", derive(shared, own, publicKey), nonce);
  cipher.setAAD(Buffer.from(purpose));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([own, nonce, sealed, cipher.getAuthTag()]).toString("base64");
}

/** The secret. Throws `artifact/undecryptable` when it was wrapped for another key or purpose, or was changed. */
export function unwrapKey(wrapped: string, pem: string, purpose: string): Buffer {
  try {
    const bytes = Buffer.from(wrapped, "base64");
    const privateKey = createPrivateKey(pem);
    const theirs = bytes.subarray(0, publicBytes);
    const nonce = bytes.subarray(publicBytes, publicBytes + nonceBytes);
    const shared = diffieHellman({ privateKey, publicKey: keyOf(theirs) });
    const own = rawPublic(createPublicKey(privateKey));
    const decipher = createDecipheriv("aes-256-gcm", derive(shared, theirs, own), nonce);
    decipher.setAAD(Buffer.from(purpose));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    return Buffer.concat([decipher.update(bytes.subarray(publicBytes + nonceBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new MusterError("artifact/undecryptable", "the key was not wrapped for this device", { cause });
  }
}

/** Whether a secret can be agreed on with the key: not of another length, nor a point that makes every secret the same. */
function isUsable(text: string): boolean {
  const raw = Buffer.from(text, "base64");
  if (raw.length !== publicBytes || raw.toString("base64") !== text) return false;
  try {
    diffieHellman({ privateKey: generateKeyPairSync("x25519").privateKey, publicKey: keyOf(raw) });
    return true;
  } catch {
    return false;
  }
}

function derive(shared: Buffer, ephemeral: Uint8Array, recipient: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", shared, Buffer.concat([ephemeral, recipient]), info, 32));
}

function rawPublic(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

function keyOf(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "X25519", x } });
}
