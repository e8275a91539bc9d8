import { z } from "zod";
import { Digest } from "../ids.js";
import { EngineFileName, maxEngineFiles } from "../signing/prebuilt-engine.js";
import { rangesUpTo } from "./ranges.js";

/** At most so many bytes of a file are asked of a device in one command, in at most so many ranges. */
export const maxUploadBytes = 1024 * 1024;
export const maxUploadRanges = 16;

/** What a provider built of a model file on a device. */
export const BuiltEngine = z.object({
  /** The model file. */
  artifact: Digest,
  files: z
    .array(z.object({ name: EngineFileName, sha256: Digest, sizeBytes: z.int().min(1) }))
    .min(1)
    .max(maxEngineFiles),
});
export type BuiltEngine = z.infer<typeof BuiltEngine>;

/**
 * Asks a device for ranges of a file of an engine that it has reported. Self-contained and idempotent; each range is answered
 * by a chunk frame on the topic `upload`, whose `transfer` and `request` are those of the command, or all by a refusal.
 */
export const UploadCommand = z.object({
  type: z.literal("upload"),
  transfer: z.int().min(0).max(0xffff_ffff),
  request: z.int().min(0).max(0xffff_ffff),
  artifact: Digest,
  file: EngineFileName,
  ranges: rangesUpTo({ ranges: maxUploadRanges, bytes: maxUploadBytes }),
});
export type UploadCommand = z.infer<typeof UploadCommand>;

/** Why a device sends no bytes. It goes by the same topic as frames do, and is JSON, which no frame begins as. */
export const UploadRefusal = z.object({
  transfer: z.int(),
  request: z.int(),
  error: z.enum(["gone", "range"]),
});
export type UploadRefusal = z.infer<typeof UploadRefusal>;
