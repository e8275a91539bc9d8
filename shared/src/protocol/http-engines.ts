import { z } from "zod";
import { DeviceId, Digest, ModelName, VersionName } from "../ids.js";
import { Envelope } from "../signing/envelope.js";
import { Hardware } from "./hardware.js";
import { BuiltEngine } from "./upload-messages.js";

/** What of a device's hardware an engine depends on. */
export const EngineHardware = Hardware.pick({
  platform: true,
  arch: true,
  gpus: true,
  jetson: true,
  onnxruntime: true,
});
export type EngineHardware = z.infer<typeof EngineHardware>;

export const EngineId = z
  .string()
  .regex(/^e-[0-9a-f]{16}$/, "must be the id of a shared engine; see: muster engine ls");

const EngineOfVersion = z.object({ model: ModelName, version: VersionName, variant: z.string() });

/** An engine that devices of its class get. */
export const SharedEngine = BuiltEngine.extend({
  id: EngineId,
  /** The versions with this model file, the newest first. */
  versions: z.array(EngineOfVersion),
  engineClass: Digest,
  hardware: EngineHardware,
  /** The device that built it; absent when it lies outside of the scope of who asks. */
  builtBy: DeviceId.optional(),
  sizeBytes: z.int(),
  /** Ids of the release keys that signed it. */
  signedBy: z.array(z.string()),
  /** False when devices refuse it, because the keys that signed it are not trusted any more. */
  trusted: z.boolean(),
  sharedMs: z.int(),
});
export type SharedEngine = z.infer<typeof SharedEngine>;

/** An engine on the device that built it. */
export const HeldEngine = BuiltEngine.extend({
  ...EngineOfVersion.shape,
  device: DeviceId,
  /** Absent when the device does not say which build of ONNX Runtime it has; its engines cannot be shared. */
  engineClass: Digest.optional(),
  hardware: EngineHardware.optional(),
  sizeBytes: z.int(),
  /** The shared engine of the same model file and class. */
  shared: EngineId.optional(),
});
export type HeldEngine = z.infer<typeof HeldEngine>;

export const EngineList = z.object({ shared: z.array(SharedEngine), held: z.array(HeldEngine) });
export type EngineList = z.infer<typeof EngineList>;

/** Fetches the engine of the version that a device runs, and shares it with all devices of its class. */
export const ShareEngine = z.strictObject({
  model: ModelName,
  version: VersionName,
  device: DeviceId,
  /** Only prepare it: release keys outside of the hub sign it. */
  draft: z.boolean().default(false),
});
export type ShareEngine = z.infer<typeof ShareEngine>;

const share = {
  /** Names this sharing until the hub is restarted. */
  id: z.string(),
  ...{ model: ModelName, version: VersionName, device: DeviceId },
  doneBytes: z.int(),
  totalBytes: z.int(),
};

/** How far a sharing has come. */
export const EngineShare = z.discriminatedUnion("state", [
  z.object({ ...share, state: z.literal("fetching") }),
  /** The bytes of `payload` (base64) are what has to be signed. */
  z.object({ ...share, state: z.literal("prepared"), payloadType: z.string(), payload: z.base64() }),
  z.object({ ...share, state: z.literal("shared"), engine: SharedEngine }),
  z.object({ ...share, state: z.literal("failed"), error: z.object({ code: z.string(), message: z.string() }) }),
]);
export type EngineShare = z.infer<typeof EngineShare>;

/** A prepared engine, signed by release keys outside of the hub. */
export const SignEngine = z.strictObject({ envelope: Envelope });
export type SignEngine = z.infer<typeof SignEngine>;
