import { type Artifact, type Chunk, decodeChunkIndex, sha256 } from "@muster/shared";
import type { BlobShelf, PartialBlob } from "./ports.js";

/** Where the chunk of a digest lies on this device. */
type Places = ReadonlyMap<string, { readonly blob: string; readonly offset: number }>;

/**
 * Copies what is here already: chunks of artifacts on the shelf, verified again. Returns the chunks that are still
 * missing. An artifact or index that cannot be read is passed over: it only saves bytes.
 */
export async function reuseChunks(
  missing: readonly Chunk[],
  seeds: readonly Artifact[],
  shelf: BlobShelf,
  partial: PartialBlob,
): Promise<Chunk[]> {
  const places = await placesOf(seeds, shelf);
  if (places.size === 0) return [...missing];
  const left: Chunk[] = [];
  for (const chunk of missing) {
    const place = places.get(chunk.sha256);
    const bytes = place === undefined ? undefined : await shelf.slice(place.blob, place.offset, chunk.length);
    if (bytes !== undefined && sha256(bytes) === chunk.sha256) await partial.write(chunk.offset, bytes);
    else left.push(chunk);
  }
  return left;
}

async function placesOf(seeds: readonly Artifact[], shelf: BlobShelf): Promise<Places> {
  const places = new Map<string, { blob: string; offset: number }>();
  for (const { sha256: blob, sizeBytes, index } of seeds) {
    if (!(await shelf.has(blob)) || !(await shelf.has(index.sha256))) continue;
    const chunks = await shelf
      .read(index.sha256)
      .then((bytes) => decodeChunkIndex(bytes, sizeBytes))
      .catch(() => []);
    for (const chunk of chunks) places.set(chunk.sha256, { blob, offset: chunk.offset });
  }
  return places;
}
