import { z } from "zod";
import { MusterError } from "../errors.js";
import { DeviceId, ModelName, VersionName } from "../ids.js";
import { BlobRef, Manifest, manifestType } from "../model/manifest.js";
import { parseWith } from "../schema.js";
import { open, PublicKey } from "./envelope.js";

/** The DSSE payload type of a desired document. */
export const desiredType = "application/vnd.muster.desired.v1+json";

const Wanted = z.object({
  model: ModelName,
  version: VersionName,
  /** The signed manifest (its envelope), as a blob. */
  manifest: BlobRef,
  /** What asked for it; a version that failed is not tried again under the same attempt. */
  attempt: z.string().min(1).max(100),
  /** How long the version serves under watch before it is kept. */
  probationMs: z.int().min(0),
});
export type Wanted = z.infer<typeof Wanted>;

/** All that the hub wants of one device: what is not listed is to be removed. */
export const Desired = z.object({
  device: DeviceId,
  /** Rises with every change; a device refuses a lower one. */
  revision: z.int().min(1),
  issuedMs: z.int(),
  /** After this the device keeps serving and refuses changes. */
  expiresMs: z.int(),
  models: z.array(Wanted).max(64),
});
export type Desired = z.infer<typeof Desired>;

/** The keys a device trusts, by role. */
export const TrustedKeys = z.object({
  /** Signs manifests: says that a model is genuine. */
  release: z.array(PublicKey).min(1),
  /** Signs desired documents: says that this device is to run it now. */
  director: z.array(PublicKey).min(1),
});
export type TrustedKeys = z.infer<typeof TrustedKeys>;

/** What a device holds a new desired document against. */
export interface DesiredContext {
  readonly device: string;
  /** The highest revision accepted so far. */
  readonly revision: number;
  readonly nowMs: number;
}

/**
 * The desired document inside the envelope, after every check in order: director signature, shape,
 * device, revision, expiry. Throws `signature/invalid` or `desired/refused`.
 */
export function verifyDesired(envelope: unknown, keys: TrustedKeys, context: DesiredContext): Desired {
  const bytes = open(envelope, desiredType, keys.director, 1, "desired document");
  const desired = parseWith(Desired, parseJson(bytes, "desired document"), "signature/invalid", "desired document");
  if (desired.device !== context.device) {
    throw refused(`is for device ${desired.device}, this is ${context.device}`);
  }
  if (desired.revision < context.revision) {
    throw refused(`has revision ${desired.revision}, this device has accepted ${context.revision}`);
  }
  if (desired.expiresMs <= context.nowMs) {
    throw refused(`expired ${new Date(desired.expiresMs).toISOString()}`);
  }
  return desired;
}

/** What a device holds a manifest against. */
export interface ManifestContext {
  readonly model: string;
  readonly version: string;
  /** The highest release of this model that was committed here. */
  readonly releaseFloor: number;
  /** The digest of the manifest that was good here before: going back to it is allowed below the floor. */
  readonly lastGood: string | undefined;
  /** The digest of the manifest's envelope. */
  readonly digest: string;
}

/**
 * The manifest inside the envelope, after every check in order: release signature, shape, that it is
 * the version asked for, and that it is not older than what this device has committed.
 */
export function verifyManifest(envelope: unknown, keys: TrustedKeys, context: ManifestContext): Manifest {
  const bytes = open(envelope, manifestType, keys.release, 1, `manifest of ${context.model} ${context.version}`);
  const manifest = parseWith(Manifest, parseJson(bytes, "manifest"), "signature/invalid", "manifest");
  if (manifest.model !== context.model || manifest.version !== context.version) {
    throw refused(
      `names ${context.model} ${context.version}, its manifest is of ${manifest.model} ${manifest.version}`,
    );
  }
  if (manifest.release < context.releaseFloor && context.digest !== context.lastGood) {
    throw refused(
      `wants release ${manifest.release} of ${manifest.model}, this device has had ${context.releaseFloor}; push it again to roll back to it`,
    );
  }
  return manifest;
}

function refused(why: string): MusterError {
  return new MusterError("desired/refused", `desired document ${why}`);
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new MusterError("signature/invalid", `${what} is not JSON`, { cause });
  }
}
