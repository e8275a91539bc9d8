import { z } from "zod";
import { MusterError } from "../errors.js";
import { DeviceId, Digest, ModelName, VersionName } from "../ids.js";
import { Artifact, BlobRef, Manifest, manifestType } from "../model/manifest.js";
import { Envelope, openDocument } from "./envelope.js";
import { type Root, refuseExpired } from "./root.js";

/** The DSSE payload type of a desired document. */
export const desiredType = "application/vnd.muster.desired.v1+json";

/** Shorter ways to artifacts. They are hints: what comes of them is verified like what comes without. */
export const TransferHints = z
  .array(
    z.object({
      artifact: Digest,
      /** Bytes on the link when its chunks travel compressed. */
      deflatedBytes: z.int().min(0).optional(),
      /** For a device that has the base. */
      deltas: z
        .array(z.object({ base: Digest, delta: Artifact }))
        .max(8)
        .optional(),
    }),
  )
  .max(64);
export type TransferHint = z.infer<typeof TransferHints>[number];

/** How a device runs a version beside the one that serves before it puts it in service. */
export const ShadowPlan = z.object({
  /** For so long. */
  ms: z.int().min(1),
  /** The share of the inputs that it gets, 0..1. */
  share: z.number().gt(0).max(1),
  /** The share of one core's time that it may take, 0..1. */
  cpuShare: z.number().gt(0).max(1),
  /** It is refused when a smaller share of its answers agrees with those of the serving version; 0 asks for none. */
  minAgreement: z.number().min(0).max(1),
});
export type ShadowPlan = z.infer<typeof ShadowPlan>;

/** A version a device is to run. */
export const Wanted = z.object({
  model: ModelName,
  version: VersionName,
  /** The signed manifest (its envelope), as a blob. */
  manifest: BlobRef,
  /** What asked for it; a version that failed is not tried again under the same attempt. */
  attempt: z.string().min(1).max(100),
  /** How long the version serves under watch before it is kept. */
  probationMs: z.int().min(0),
  shadow: ShadowPlan.optional(),
  hints: TransferHints.optional(),
  /** The keys of its encrypted artifacts, wrapped for this device alone. */
  keys: z
    .array(z.object({ artifact: Digest, wrapped: z.base64().max(400) }))
    .max(64)
    .optional(),
  /** Engines that a device of the same class built of its artifacts, each signed like a manifest; see {@link PrebuiltEngine}. */
  engines: z.array(Envelope).max(16).optional(),
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

/** What a device holds a new desired document against. */
export interface DesiredContext {
  readonly device: string;
  /** The highest revision accepted so far, and the document that had it. */
  readonly revision: number;
  readonly accepted: Desired | undefined;
  readonly nowMs: number;
}

/**
 * The desired document inside the envelope, after every check in order: director signature, shape, root expiry,
 * device, revision, expiry. Throws `signature/invalid` or `desired/refused`.
 */
export function verifyDesired(envelope: unknown, root: Root, context: DesiredContext): Desired {
  const desired = openDocument(Desired, envelope, desiredType, root.roles.director, "desired document");
  refuseExpired(root, context.nowMs);
  const { device, revision, accepted } = context;
  if (desired.device !== device) throw refused(`is for device ${desired.device}, this is ${device}`);
  if (desired.revision < revision) {
    throw refused(`has revision ${desired.revision}, this device has accepted ${revision}`);
  }
  if (desired.revision === revision && accepted !== undefined && !sameDocument(accepted, desired)) {
    throw refused(`has revision ${revision}, which this device has accepted with other contents`);
  }
  if (desired.issuedMs > root.expiresMs) throw refused("was issued after the end of the root that names its key");
  if (desired.expiresMs <= context.nowMs) {
    throw refused(`expired ${new Date(desired.expiresMs).toISOString()}; check the clocks of hub and device`);
  }
  return desired;
}

/** A release further ahead of the floor is refused: after the highest there would be no next one. */
export const maxReleaseStep = 1_000_000;

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
export function verifyManifest(envelope: unknown, root: Root, context: ManifestContext): Manifest {
  const what = `manifest of ${context.model} ${context.version}`;
  const manifest = openDocument(Manifest, envelope, manifestType, root.roles.release, what);
  if (manifest.model !== context.model || manifest.version !== context.version) {
    throw refused(
      `names ${context.model} ${context.version}, its manifest is of ${manifest.model} ${manifest.version}`,
    );
  }
  if (manifest.release > context.releaseFloor + maxReleaseStep) {
    throw refused(
      `wants release ${manifest.release} of ${manifest.model}, which is too far ahead of ${context.releaseFloor}`,
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

/** Both were parsed by the same schema, so their keys have the same order. */
function sameDocument(a: Desired, b: Desired): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
