import { type Artifact, type Chunk, decodeChunkIndex, sha256 } from "@muster/shared";
import type { BlobShelf, PartialBlob } from "./ports.js";

/** Where the chunk of a digest lies on this device. */
type Places = ReadonlyMap<string, { readonly blob: string; readonly offset: number }>;

/**
 * Copies what is here already: chunks of artifacts on the shelf, verified again. Returns the chunks that are still
 * missing, or throws the signal's reason. An artifact or index that cannot be read is passed over: it only saves bytes.
 */
export async function reuseChunks(
  missing: readonly Chunk[],
  seeds: readonly Artifact[],
  shelf: BlobShelf,
  partial: PartialBlob,
  signal: AbortSignal,
): Promise<Chunk[]> {
  const places = await placesOf(seeds, shelf);
  if (places.size === 0) return [...missing];
  const left: Chunk[] = [];
  for (const chunk of missing) {
    signal.throwIfAborted();
    const place = places.get(chunk.sha256);
    const bytes = place === undefined ? undefined : await sliceOf(place, chunk.length, shelf);
    if (bytes !== undefined && sha256(bytes) === chunk.sha256) await partial.write(chunk.offset, bytes);
    else left.push(chunk);
  }
  return left;
}

function sliceOf({ blob, offset }: { blob: string; offset: number }, length: number, shelf: BlobShelf) {
  return shelf.slice(blob, offset, length).catch(() => undefined);
}

/** The chunks that an index on the shelf names; none when it cannot be read. */
export async function chunksOf(index: string, sizeBytes: number, shelf: BlobShelf): Promise<Chunk[]> {
  return shelf
    .read(index)
    .then((bytes) => decodeChunkIndex(bytes, sizeBytes))
    .catch(() => []);
}

async function placesOf(seeds: readonly Artifact[], shelf: BlobShelf): Promise<Places> {
  const places = new Map<string, { blob: string; offset: number }>();
  for (const { sha256: blob, sizeBytes, index } of seeds) {
    if (!(await shelf.has(blob)) || !(await shelf.has(index.sha256))) continue;
    for (const chunk of await chunksOf(index.sha256, sizeBytes, shelf))
      places.set(chunk.sha256, { blob, offset: chunk.offset });
  }
  return places;
}
