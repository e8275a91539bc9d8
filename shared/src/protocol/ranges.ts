import { z } from "zod";
import { maxChunkBytes } from "../model/chunk-index.js";

/** Ranges of a blob that are asked for at once: pairs of offset and length in bytes, each answered by one chunk frame. */
export function rangesUpTo(most: { readonly ranges: number; readonly bytes: number }) {
  return z
    .array(z.tuple([z.int().min(0), z.int().min(1).max(maxChunkBytes)]))
    .min(1)
    .max(most.ranges)
    .refine(
      (ranges) => ranges.reduce((sum, [, length]) => sum + length, 0) <= most.bytes,
      `asks for more than ${most.bytes / 1024 / 1024} MiB`,
    );
}
