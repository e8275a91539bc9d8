import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { z } from "zod";
import { MusterError, messageOf } from "../errors.js";
import { parseWith } from "../schema.js";

const Signature = z.object({ keyid: z.string().min(1).max(100), sig: z.base64() });

/** A DSSE envelope: exact bytes, what they are, and who signed them. */
export const Envelope = z.object({
  payloadType: z.string().min(1).max(200),
  /** The signed bytes, base64. They are never serialised again. */
  payload: z.base64(),
  signatures: z.array(Signature).min(1).max(16),
});
export type Envelope = z.infer<typeof Envelope>;

/** An envelope on its way to those who sign it. */
export const DraftEnvelope = Envelope.extend({ signatures: z.array(Signature).max(16) });
export type DraftEnvelope = z.infer<typeof DraftEnvelope>;

/** An Ed25519 public key: its raw 32 bytes, and the id that is their SHA-256. */
export const PublicKey = z
  .object({
    keyid: z.string().regex(/^[0-9a-f]{64}$/),
    ed25519: z.base64().refine((text) => {
      const raw = Buffer.from(text, "base64");
      return raw.length === 32 && raw.toString("base64") === text;
    }, "must be the 32 bytes of an Ed25519 public key"),
  })
  .refine(({ keyid, ed25519 }) => keyid === keyidOf(Buffer.from(ed25519, "base64")), "the id is not that of the key");
export type PublicKey = z.infer<typeof PublicKey>;

/** A key that can sign. */
export interface SigningKey {
  readonly public: PublicKey;
  readonly private: KeyObject;
}

/** A new Ed25519 key. */
export function generateSigningKey(): SigningKey {
  return signingKey(generateKeyPairSync("ed25519").privateKey);
}

/** A signing key out of its PKCS#8 PEM text. Throws `signature/invalid` when it is none. */
export function readSigningKey(pem: string): SigningKey {
  const key = privateKey(pem);
  if (key.asymmetricKeyType !== "ed25519") {
    throw new MusterError(
      "signature/invalid",
      `signing key is of type ${key.asymmetricKeyType}; an Ed25519 key is needed`,
    );
  }
  return signingKey(key);
}

/** Signs the bytes with every key given. */
export function seal(payloadType: string, payload: Uint8Array, keys: readonly SigningKey[]): Envelope {
  const bytes = preAuthEncoding(payloadType, payload);
  return {
    payloadType,
    payload: Buffer.from(payload).toString("base64"),
    signatures: keys.map((key) => ({
      keyid: key.public.keyid,
      sig: sign(null, bytes, key.private).toString("base64"),
    })),
  };
}

/**
 * The signed bytes, once at least `threshold` different trusted keys signed exactly them as this type.
 * Throws `signature/invalid` otherwise; `what` names the document in the message.
 */
export function open(
  envelope: unknown,
  payloadType: string,
  trusted: readonly PublicKey[],
  threshold: number,
  what: string,
): Buffer {
  const {
    payloadType: type,
    payload,
    signatures,
  } = parseWith(Envelope, envelope, "signature/invalid", `envelope of ${what}`);
  if (type !== payloadType) throw new MusterError("signature/invalid", `${what} is a ${type}, expected ${payloadType}`);
  const bytes = Buffer.from(payload, "base64");
  const signed = preAuthEncoding(type, bytes);
  /** The keys themselves, not their ids: one key under two ids counts once. */
  const good = new Set<string>();
  for (const { keyid, sig } of signatures) {
    const key = trusted.find((candidate) => candidate.keyid === keyid);
    if (key !== undefined && verify(null, signed, keyObject(key), Buffer.from(sig, "base64"))) good.add(key.ed25519);
  }
  if (good.size < threshold) {
    const signers = signatures.map(({ keyid }) => keyid.slice(0, 12)).join(", ");
    throw new MusterError(
      "signature/invalid",
      `${what} needs ${threshold} trusted signature(s) and has ${good.size}; signed by ${signers}`,
    );
  }
  return bytes;
}

/**
 * The document inside an envelope, once a threshold of the role's keys signed it and it fits the schema.
 * Throws `signature/invalid`; `what` names the document in the message.
 */
export function openDocument<S extends z.ZodType>(
  schema: S,
  envelope: unknown,
  payloadType: string,
  { keys, threshold }: { readonly keys: readonly PublicKey[]; readonly threshold: number },
  what: string,
): z.output<S> {
  const bytes = open(envelope, payloadType, keys, threshold, what);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new MusterError("signature/invalid", `${what} is not JSON`, { cause });
  }
  return parseWith(schema, value, "signature/invalid", what);
}

/** DSSE v1 pre-authentication encoding: the type is signed with the bytes, so one cannot pass for the other. */
function preAuthEncoding(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new MusterError("signature/invalid", `signing key cannot be read as PEM: ${messageOf(cause)}`, { cause });
  }
}

function signingKey(key: KeyObject): SigningKey {
  const { x } = createPublicKey(key).export({ format: "jwk" });
  const raw = Buffer.from(x ?? "", "base64url");
  return {
    private: key,
    public: { keyid: keyidOf(raw), ed25519: raw.toString("base64") },
  };
}

function keyidOf(raw: Uint8Array): string {
  return createHash("sha256").update(raw).digest("hex");
}

function keyObject({ ed25519 }: PublicKey): KeyObject {
  const x = Buffer.from(ed25519, "base64").toString("base64url");
  return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
}
