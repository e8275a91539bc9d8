import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";

/** The name of a device: safe in MQTT topics, file names, URLs and certificates on every platform. */
export const DeviceId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 of the characters A-Z a-z 0-9 _ -");

/** The name of a model. */
export const ModelName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit");

/** The version of a model as its author writes it, for example `1.4.0`. Order comes from `release`, not from this. */
export const VersionName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/,
    "must be 1 to 64 of A-Z a-z 0-9 . _ + - and begin with a letter or digit",
  );

/** A SHA-256 digest in lower-case hex. */
export const Digest = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 digest of 64 lower-case hex digits");

/** Labels of a device: keys and values of at most 63 characters. */
export const Labels = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, "label keys are 1 to 63 of A-Z a-z 0-9 . _ / -"),
  z.string().regex(/^[A-Za-z0-9._-]{0,63}$/, "label values are at most 63 of A-Z a-z 0-9 . _ -"),
);
export type Labels = z.infer<typeof Labels>;

/** SHA-256 of bytes or UTF-8 text, in lower-case hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** An id that sorts by time and is unguessable enough never to repeat: `prefix-` + 8 hex of seconds + 8 random hex. */
export function newId(prefix: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000)
    .toString(16)
    .padStart(8, "0");
  return `${prefix}-${seconds}${randomBytes(4).toString("hex")}`;
}
