import { z } from "zod";
import { DeviceId, Digest, Labels, ModelName, VersionName } from "../ids.js";
import { Manifest } from "../model/manifest.js";
import { TransferHints } from "../signing/desired.js";
import { Envelope } from "../signing/envelope.js";
import { Hardware } from "./hardware.js";
import { Reported } from "./messages.js";

/** The body of every failed request. */
export const ApiError = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    problems: z.array(z.object({ field: z.string(), message: z.string() })),
  }),
});
export type ApiError = z.infer<typeof ApiError>;

// Hub

export const HubStatus = z.object({
  version: z.string(),
  startedMs: z.int(),
  devices: z.object({ total: z.int(), online: z.int() }),
  models: z.int(),
  activeRollouts: z.int(),
  /** What the hub keeps: what devices may fetch, and files of bundles that no version was made of yet. */
  storage: z.object({
    artifacts: z.object({ blobs: z.int(), bytes: z.int() }),
    /** Artifacts that this hub's database neither names nor has stored, as after a backup was put in place; they are kept. */
    unknown: z.object({ blobs: z.int(), bytes: z.int() }),
    uploads: z.object({ blobs: z.int(), bytes: z.int() }),
  }),
  mqttUrl: z.string(),
  enrolmentUrl: z.string(),
  /** What the hub has refused or thrown away since it started, by reason. */
  counters: z.record(z.string(), z.int()),
});
export type HubStatus = z.infer<typeof HubStatus>;

// Joining

export const CreateInvite = z.strictObject({
  /** Only a device of this name may use it. */
  device: DeviceId.optional(),
  /** Given to the device when it joins. */
  labels: Labels.default({}),
  uses: z.int().min(1).max(10_000).default(1),
  validMs: z
    .int()
    .min(1000)
    .max(365 * 86_400_000)
    .default(86_400_000),
  /** Lets the named device, which has joined before, join again; it keeps its labels and its history. */
  again: z.boolean().default(false),
});
export type CreateInvite = z.infer<typeof CreateInvite>;

export const Invite = z.object({
  url: z.string(),
  /** The secret, and the digest of the hub's CA; shown only once. */
  token: z.string(),
  expiresMs: z.int(),
  /** The line to paste on the device. */
  command: z.string(),
});
export type Invite = z.infer<typeof Invite>;

/** What an agent sends over the enrolment listener. */
export const JoinRequest = z.strictObject({
  secret: z.string().min(20).max(200),
  device: DeviceId,
  /** A PKCS#10 request whose common name is the device's name. */
  csr: z.string().max(10_000).optional(),
  /** A certificate the device has already, PEM; for hubs that do not sign. */
  certificate: z.string().max(20_000).optional(),
  labels: Labels.default({}),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

export const JoinReply = z.object({
  certificate: z.string(),
  ca: z.string(),
  mqttUrl: z.string(),
  /** Every root of this hub, oldest first. */
  roots: z.array(Envelope).min(1),
});
export type JoinReply = z.infer<typeof JoinReply>;

// Devices

/** A certificate that a device has, or had, and that has not expired. */
export const DeviceCertificate = z.object({
  /** Serial number, hex. */
  serial: z.string(),
  issuedMs: z.int(),
  expiresMs: z.int(),
  /** From then on it is refused; ahead of now while its successor is not in use yet. */
  revokedMs: z.int().optional(),
  reason: z.string().optional(),
});
export type DeviceCertificate = z.infer<typeof DeviceCertificate>;

export const Device = z.object({
  id: DeviceId,
  labels: Labels,
  online: z.boolean(),
  joinedMs: z.int(),
  lastSeenMs: z.int().optional(),
  agentVersion: z.string().optional(),
  hardware: Hardware.optional(),
  desired: z.object({ revision: z.int(), models: z.array(z.object({ model: ModelName, version: VersionName })) }),
  reported: Reported.optional(),
  /** Only where one device is shown. */
  certificates: z.array(DeviceCertificate).optional(),
});
export type Device = z.infer<typeof Device>;
export const DeviceList = z.object({ devices: z.array(Device) });
export type DeviceList = z.infer<typeof DeviceList>;

export const RevokeCertificates = z.strictObject({
  /** Only the certificate of this serial number, hex; without it, all that the device has. */
  serial: z
    .string()
    .regex(/^[0-9a-fA-F:]{1,80}$/, "must be a serial number in hex")
    .optional(),
  reason: z.string().min(1).max(200).default("revoked by the operator"),
});
export type RevokeCertificates = z.infer<typeof RevokeCertificates>;

export const ChangeLabels = z.strictObject({
  set: Labels.default({}),
  remove: z.array(z.string()).default([]),
});
export type ChangeLabels = z.infer<typeof ChangeLabels>;

// Models

export const UploadState = z.object({ digest: Digest, sizeBytes: z.int() });
export type UploadState = z.infer<typeof UploadState>;

export const PushVersion = z.strictObject({
  /** The text of muster.yaml. */
  bundle: z.string().max(1_000_000),
  /** The digest of every other file of the bundle that was uploaded, by its path. */
  files: z.record(z.string().max(500), Digest),
  /** Run the self-test on the hub too and refuse a version that fails it. */
  selfTest: z.boolean().default(true),
  /** Encrypt the artifacts; only devices that are to run them get the keys. */
  encrypt: z.boolean().default(false),
});
export type PushVersion = z.infer<typeof PushVersion>;

export const VersionView = z.object({
  model: ModelName,
  version: VersionName,
  release: z.int(),
  /** The digest of the signed manifest. */
  manifestDigest: Digest,
  pushedMs: z.int(),
  sizeBytes: z.int(),
  manifest: Manifest,
  /** Devices that have committed it. */
  devices: z.int(),
  /** How far its shorter forms for the link are made, 0 to 1; only when one version is shown. */
  prepared: z.number().optional(),
  encodings: TransferHints.optional(),
});
export type VersionView = z.infer<typeof VersionView>;
export const PushedVersion = VersionView.extend({
  /** False when exactly this version was there already. */
  created: z.boolean(),
});
export type PushedVersion = z.infer<typeof PushedVersion>;
export const VersionList = z.object({ versions: z.array(VersionView) });
export type VersionList = z.infer<typeof VersionList>;
