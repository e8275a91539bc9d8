import { type Chunk, type Log, MusterError, sha256 } from "@muster/shared";
import { applyDelta } from "./delta.js";
import type { BlobShelf, PartialBlob } from "./ports.js";

/** A delta on the shelf, and what it makes of which blob. */
export interface FetchedDelta {
  readonly blob: string;
  readonly base: string;
  readonly targetBytes: number;
}

interface Rebuilding {
  readonly shelf: BlobShelf;
  readonly log: Log;
  readonly partial: PartialBlob;
  readonly signal: AbortSignal;
}

/**
 * Writes the missing chunks that a delta makes as they should be; returns those still missing, or throws the signal's reason.
 * A delta that cannot be applied only means that more is missing.
 */
export async function rebuildChunks(
  delta: FetchedDelta,
  chunks: readonly Chunk[],
  missing: readonly Chunk[],
  { shelf, log, partial, signal }: Rebuilding,
): Promise<Chunk[]> {
  const left = new Map(missing.map((chunk) => [chunk.offset, chunk]));
  try {
    let made = Buffer.alloc(0);
    let at = 0;
    for await (const { bytes } of applyDelta(shelf, delta.blob, delta)) {
      signal.throwIfAborted();
      made = Buffer.concat([made, bytes]);
      for (let chunk = chunks[at]; chunk !== undefined && made.length >= chunk.length; chunk = chunks[at]) {
        const whole = made.subarray(0, chunk.length);
        if (left.has(chunk.offset) && sha256(whole) === chunk.sha256) {
          await partial.write(chunk.offset, whole);
          left.delete(chunk.offset);
        }
        made = made.subarray(chunk.length);
        at += 1;
      }
    }
  } catch (error) {
    if (!(error instanceof MusterError)) throw error;
    log.warn("transfer.delta.unusable", { blob: delta.blob, base: delta.base, reason: error.message });
  }
  return [...left.values()];
}
