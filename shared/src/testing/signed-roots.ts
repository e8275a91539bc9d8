import { type Envelope, generateSigningKey, type SigningKey, seal } from "../signing/envelope.js";
import { type Role, type Root, rootType } from "../signing/root.js";

/** The private keys of every role. */
export type Signers = Readonly<Record<Role, readonly SigningKey[]>>;

/** New keys, one per role unless told otherwise. */
export function newSigners(counts: Partial<Record<Role, number>> = {}): Signers {
  const keys = (role: Role) => Array.from({ length: counts[role] ?? 1 }, () => generateSigningKey());
  return { root: keys("root"), release: keys("release"), director: keys("director") };
}

/** A root that names the keys, with threshold 1 for each role; valid for a year around `issuedMs`. */
export function rootOf(signers: Signers, over: Partial<Root> = {}): Root {
  const role = (name: Role) => ({ keys: signers[name].map((key) => key.public), threshold: 1 });
  const issuedMs = over.issuedMs ?? 0;
  return {
    version: 1,
    issuedMs,
    expiresMs: issuedMs + 365 * 86_400_000,
    roles: { root: role("root"), release: role("release"), director: role("director") },
    ...over,
  };
}

/** The root, signed by the keys. */
export function sealRoot(root: Root, keys: readonly SigningKey[]): Envelope {
  return seal(rootType, Buffer.from(JSON.stringify(root)), keys);
}
