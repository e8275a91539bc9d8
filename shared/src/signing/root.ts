import { z } from "zod";
import { MusterError } from "../errors.js";
import { sha256 } from "../ids.js";
import { Envelope, openDocument, PublicKey } from "./envelope.js";

/** The DSSE payload type of a root document. */
export const rootType = "application/vnd.muster.root.v1+json";

/** The roles of trust: `root` names the keys, `release` signs manifests, `director` says what a device runs. */
export const roles = ["root", "release", "director"] as const;
export const Role = z.enum(roles);
export type Role = z.infer<typeof Role>;

/** The keys of a role, and how many different ones have to sign. */
export const RoleKeys = z
  .object({ keys: z.array(PublicKey).min(1).max(16), threshold: z.int().min(1).max(16) })
  .refine(({ keys, threshold }) => threshold <= keys.length, "the threshold is above the number of keys");
export type RoleKeys = z.infer<typeof RoleKeys>;

/** Names the keys of every role. Signed by a threshold of its own root keys and of those before it. */
export const Root = z
  .object({
    /** Rises by one with every change; a device follows step by step. */
    version: z.int().min(1),
    issuedMs: z.int(),
    /** After this, devices accept no changes until they get a newer one. */
    expiresMs: z.int(),
    roles: z.object({ root: RoleKeys, release: RoleKeys, director: RoleKeys }),
  })
  .refine(({ roles: all }) => {
    const keys = roles.flatMap((role) => all[role].keys.map(({ ed25519 }) => ed25519));
    return new Set(keys).size === keys.length;
  }, "a key may be listed once, in one role")
  .refine(({ roles: { director } }) => director.threshold === 1, "the hub signs alone, so director has threshold 1");
export type Root = z.infer<typeof Root>;

/** More steps than this are not followed at once. */
export const maxRootSteps = 256;

/** What travels to a device: the roots it has not seen, and what it is to run. */
export const DesiredMessage = z.object({
  /** How many lanes the device may open at this hub, if any. Not signed: a wrong number costs some vain connects. */
  lanes: z.int().min(0).optional(),
  roots: z.array(Envelope).max(maxRootSteps).default([]),
  desired: Envelope,
});
export type DesiredMessage = z.infer<typeof DesiredMessage>;

/** How many lanes a message allows that may not be a {@link DesiredMessage}. */
export function lanesIn(message: unknown): number {
  return DesiredMessage.safeParse(message).data?.lanes ?? 0;
}

/**
 * The root in an envelope that a threshold of its own keys signed. Whoever calls this trusts where it came from.
 * Throws `signature/invalid`.
 */
export function openRoot(envelope: unknown): Root {
  const root = peekRoot(envelope);
  return openDocument(Root, envelope, rootType, root.roles.root, `root ${root.version}`);
}

/**
 * The newest root that the envelopes lead to from a trusted one. Each step is one version up and signed by a threshold of
 * the keys before and by a threshold of its own; versions that are trusted already are passed over.
 * Throws `signature/invalid` for a bad signature and for a gap.
 */
export function followRoots(trusted: Root, envelopes: readonly unknown[]): Root {
  return rootSteps(trusted, envelopes).at(-1) ?? trusted;
}

/** Every root on the way, the trusted one first. Throws as {@link followRoots}. */
export function rootSteps(trusted: Root, envelopes: readonly unknown[]): Root[] {
  const steps = [trusted];
  for (const envelope of envelopes) {
    const before = steps.at(-1) ?? trusted;
    const { version } = peekRoot(envelope);
    if (version <= before.version) continue;
    if (version !== before.version + 1) {
      throw new MusterError(
        "signature/invalid",
        `root ${version} cannot follow root ${before.version}: the steps between are missing`,
      );
    }
    openDocument(
      Root,
      envelope,
      rootType,
      before.roles.root,
      `root ${version}, by the keys of root ${before.version},`,
    );
    steps.push(openRoot(envelope));
  }
  return steps;
}

/** Throws `desired/refused` when the root's time is over. */
export function refuseExpired({ version, expiresMs }: Root, nowMs: number): void {
  if (expiresMs > nowMs) return;
  const since = new Date(expiresMs).toISOString();
  throw new MusterError("desired/refused", `root ${version} expired ${since}; issue a newer one: muster key renew`);
}

/** Whether any key of the role was taken away on the way through the roots. */
export function lostKey(steps: readonly Root[], role: Role): boolean {
  return steps.some((root, at) => {
    const next = steps[at + 1]?.roles[role].keys.map(({ keyid }) => keyid);
    return next !== undefined && root.roles[role].keys.some(({ keyid }) => !next.includes(keyid));
  });
}

/** What tells two roots apart, whoever signed them: the digest of the signed bytes. */
export function rootDigest({ payload }: Envelope): string {
  return sha256(Buffer.from(payload, "base64"));
}

/** The root as it claims to be, before anything is verified. */
function peekRoot(envelope: unknown): Root {
  const none = { keys: [], threshold: 0 };
  return openDocument(Root, envelope, rootType, none, "root");
}
