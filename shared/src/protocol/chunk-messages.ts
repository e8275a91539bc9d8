import { z } from "zod";
import { Digest } from "../ids.js";
import { rangesUpTo } from "./ranges.js";
import { maxLanes } from "./topics.js";

/** At most so many bytes are asked for in one request, and so many ranges. */
export const maxRequestBytes = 4 * 1024 * 1024;
export const maxRequestRanges = 128;

/** Asks for ranges of a blob. Self-contained and idempotent: any hub worker can answer it from the blob store alone. */
export const ChunkRequest = z.object({
  transfer: z.int().min(0).max(0xffff_ffff),
  request: z.int().min(0).max(0xffff_ffff),
  blob: Digest,
  /** The lane that the frames are to take, if it is not the device's own connection. */
  lane: z.int().min(1).max(maxLanes).optional(),
  /** Whether frames may be compressed, where the hub has them so. */
  accept: z.literal("deflate").optional(),
  ranges: rangesUpTo({ ranges: maxRequestRanges, bytes: maxRequestBytes }),
});
export type ChunkRequest = z.infer<typeof ChunkRequest>;

/** Why a request gets no bytes. `busy` says when to ask again; the others are final for this blob. */
export const ChunkReply = z.object({
  transfer: z.int(),
  request: z.int(),
  error: z.enum(["gone", "busy", "range", "denied", "superseded"]),
  retryMs: z.int().min(0).optional(),
});
export type ChunkReply = z.infer<typeof ChunkReply>;
