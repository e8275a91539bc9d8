import { z } from "zod";
import { ModelName, VersionName } from "../ids.js";
import { Manifest } from "../model/manifest.js";
import { DraftEnvelope, Envelope, PublicKey } from "../signing/envelope.js";
import { Role } from "../signing/root.js";

const RoleView = z.object({
  threshold: z.int(),
  /** `onHub`: the private key lies on the hub. */
  keys: z.array(z.object({ keyid: z.string(), ed25519: z.string(), onHub: z.boolean() })),
});

/** Whom the fleet trusts now, and every root so far, oldest first. */
export const TrustView = z.object({
  version: z.int(),
  issuedMs: z.int(),
  expiresMs: z.int(),
  roles: z.object({ root: RoleView, release: RoleView, director: RoleView }),
  chain: z.array(Envelope),
});
export type TrustView = z.infer<typeof TrustView>;

/** The next root, signed; keys that lie on the hub sign it there. */
export const AdoptRoot = z.strictObject({ envelope: DraftEnvelope });
export type AdoptRoot = z.infer<typeof AdoptRoot>;

/** Asks for a new key on the hub, which the next root is to name. */
export const PrepareKey = z.strictObject({ role: Role });
export type PrepareKey = z.infer<typeof PrepareKey>;
export { PublicKey as PreparedKey };

/** A version that waits for its signature. The bytes of `payload` (base64) are what has to be signed. */
export const Draft = z.object({ payloadType: z.string(), payload: z.base64(), manifest: Manifest });
export type Draft = z.infer<typeof Draft>;

/** A draft's manifest, signed by release keys outside of the hub. */
export const SignDraft = z.strictObject({ envelope: Envelope });
export type SignDraft = z.infer<typeof SignDraft>;

/** Publishes a version again under another name and a higher release. */
export const Republish = z.strictObject({ model: ModelName, version: VersionName, as: VersionName });
export type Republish = z.infer<typeof Republish>;

/** The signed manifest of a version, as devices get it. */
export const SignedManifest = Envelope;
