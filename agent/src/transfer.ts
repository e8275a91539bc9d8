import {
  type Artifact,
  type BlobRef,
  type Chunk,
  type Clock,
  decodeChunkIndex,
  formatBytes,
  type Log,
  MusterError,
  maxChunkBytes,
  messageOf,
  sha256,
  type TransferHint,
  TurnsOf,
} from "@muster/shared";
import type { Allowance } from "./allowance.js";
import { isDiskFull } from "./faults.js";
import type { BlobShelf, ChunkLink, PartialBlob } from "./ports.js";
import { type Piece, Pull } from "./pull.js";
import { type FetchedDelta, rebuildChunks } from "./rebuild.js";
import { chunksOf, reuseChunks } from "./reuse.js";

export interface TransferDeps {
  readonly link: ChunkLink;
  readonly shelf: BlobShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly allowance: Pick<Allowance, "paused" | "spend">;
  /** Larger artifacts are refused before a byte is asked for. */
  readonly maxArtifactBytes: number;
}

/** How far a transfer is. */
export interface TransferProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Why nothing is fetched now. */
  readonly paused?: string;
}

/** What may make a transfer shorter. */
export interface Shortcuts {
  /** Artifacts on this device whose chunks may be found again. */
  readonly seeds?: readonly Artifact[];
  /** What the hub says of shorter forms. */
  readonly hint?: TransferHint | undefined;
}

/** Metadata above this is not metadata. */
const maxSmallBytes = 64 * 1024 * 1024;
/** So many times metadata is fetched that arrives damaged: only the whole of it can be verified. */
const maxSmallTries = 3;
/** A delta has to be this much smaller than what is missing: it costs reading the base and writing all again. */
const deltaMargin = 0.9;

/** Brings blobs to this device by asking for ranges, verifying each before it is written. */
export class Transfer {
  readonly #deps: TransferDeps;
  #number = Math.floor(Math.random() * 0x7fff_ffff);
  /** One fetch of a blob at a time. */
  readonly #turns = new TurnsOf<string>();

  constructor(deps: TransferDeps) {
    this.#deps = deps;
  }

  /**
   * Fetches an artifact, resuming what an earlier try left, the shortest way there is: what is here already is copied,
   * a delta is fetched when it is smaller than what is missing, and the rest comes chunk by chunk, compressed where the
   * hub has it so. Of one that is here and was damaged, what is damaged is fetched. Throws `artifact/digest-mismatch`,
   * `artifact/index-invalid`, `artifact/too-large`, `transfer/refused`, `transfer/stalled`, what the disk says, or the
   * signal's reason; what has arrived stays for the next try, unless the disk is full.
   */
  async fetchArtifact(
    artifact: Artifact,
    signal: AbortSignal,
    onProgress: (progress: TransferProgress) => void,
    shortcuts: Shortcuts = {},
  ): Promise<void> {
    await this.#inTurn(artifact.sha256, signal, async () => {
      if (await this.#isThere(artifact.sha256)) return;
      try {
        await this.#fetch(artifact, signal, onProgress, shortcuts);
      } catch (error) {
        // Without room for its state, the device could not even say so.
        if (isDiskFull(error)) await this.#deps.shelf.remove(artifact.sha256);
        throw error;
      }
    });
  }

  async #fetch(
    artifact: Artifact,
    signal: AbortSignal,
    onProgress: (progress: TransferProgress) => void,
    shortcuts: Shortcuts,
  ): Promise<void> {
    const { maxArtifactBytes } = this.#deps;
    if (artifact.sizeBytes > maxArtifactBytes) {
      const sizes = `${formatBytes(artifact.sizeBytes)}, this device takes ${formatBytes(maxArtifactBytes)}`;
      throw new MusterError("artifact/too-large", `artifact has ${sizes}; raise maxArtifactBytes`);
    }
    const index = await this.#index(artifact.index, signal);
    try {
      const chunks = decodeChunkIndex(index.bytes, artifact.sizeBytes);
      await this.#fetchChunks(artifact, { chunks, kept: index.kept }, signal, onProgress, shortcuts);
    } finally {
      await index.kept;
    }
  }

  async #fetchChunks(
    artifact: Artifact,
    { chunks, kept }: { readonly chunks: readonly Chunk[]; readonly kept: Promise<unknown> },
    signal: AbortSignal,
    onProgress: (progress: TransferProgress) => void,
    { seeds = [], hint }: Shortcuts,
  ): Promise<void> {
    const { shelf, log } = this.#deps;
    const delta = await this.#delta(artifact, chunks, hint, seeds, signal, onProgress);
    const partial = await shelf.begin(artifact.sha256, artifact.sizeBytes, chunks);
    const progressOf = (left: readonly Chunk[]) => artifact.sizeBytes - bytesOf(left);
    const holes = chunks.filter(({ offset }) => !partial.present.has(offset));
    const presentBytes = progressOf(holes);
    if (presentBytes > 0)
      log.info("transfer.resumed", { blob: artifact.sha256, presentBytes, totalBytes: artifact.sizeBytes });
    const reused = await closing(partial, () => reuseChunks(holes, seeds, shelf, partial, signal));
    const missing =
      delta === undefined
        ? reused
        : await closing(partial, () => rebuildChunks(delta, chunks, reused, { shelf, log, partial, signal }));
    const doneBefore = progressOf(missing);
    const onDone = (doneBytes: number, paused?: string) =>
      onProgress({
        doneBytes: doneBefore + doneBytes,
        totalBytes: artifact.sizeBytes,
        ...(paused === undefined ? {} : { paused }),
      });
    const sentBytes = await this.#pull(artifact.sha256, missing, partial, signal, onDone, kept);
    if (delta !== undefined) await shelf.remove(delta.blob);
    const fetchedBytes = sentBytes + (delta?.fetchedBytes ?? 0);
    const reusedBytes = bytesOf(holes) - bytesOf(reused);
    log.info("transfer.completed", {
      blob: artifact.sha256,
      totalBytes: artifact.sizeBytes,
      fetchedBytes,
      reusedBytes,
    });
  }

  /** Fetches a manifest, an index or a sample, which is verified as a whole. Throws as {@link fetchArtifact}. */
  async fetchSmall(blob: BlobRef, signal: AbortSignal): Promise<void> {
    await this.#fetchSmall(blob, signal);
  }

  /** The bytes of an index as soon as they are verified. What is `kept` settles when the disk has them as well. */
  async #index(index: BlobRef, signal: AbortSignal): Promise<{ bytes: Buffer; kept: Promise<boolean> }> {
    let known: (bytes: Buffer) => void = () => undefined;
    const early = new Promise<Buffer>((resolve) => {
      known = resolve;
    });
    const kept = this.#fetchSmall(index, signal, known);
    const read = kept.then((fetched) => (fetched ? early : this.#deps.shelf.read(index.sha256)));
    return { bytes: await Promise.race([early, read]), kept };
  }

  /** Resolves, when the blob is there for good, with whether it had to be fetched; hands its bytes on before that where they are wanted. */
  async #fetchSmall(blob: BlobRef, signal: AbortSignal, onBytes?: (bytes: Buffer) => void): Promise<boolean> {
    if (blob.sizeBytes > maxSmallBytes) {
      throw new MusterError(
        "artifact/too-large",
        `metadata of ${formatBytes(blob.sizeBytes)} is refused; at most ${formatBytes(maxSmallBytes)}`,
      );
    }
    const pieces: Piece[] = [];
    for (let offset = 0; offset < blob.sizeBytes; offset += maxChunkBytes) {
      pieces.push({ offset, length: Math.min(maxChunkBytes, blob.sizeBytes - offset), sha256: undefined });
    }
    let fetched = false;
    await this.#inTurn(blob.sha256, signal, async () => {
      for (let tries = 1; !(await this.#isThere(blob.sha256)); tries += 1) {
        try {
          const partial = await this.#deps.shelf.begin(blob.sha256, blob.sizeBytes, []);
          // Whose bytes nobody waits for is not held whole in memory.
          const into = onBytes === undefined ? partial : handingOn(partial, blob, onBytes);
          await this.#pull(blob.sha256, pieces, into, signal, () => undefined);
          fetched = true;
        } catch (error) {
          const damaged = error instanceof MusterError && error.code === "artifact/digest-mismatch";
          if (!damaged || tries >= maxSmallTries) throw error;
          this.#deps.log.warn("transfer.blob.damaged", { blob: blob.sha256, tries });
        }
      }
    });
    return fetched;
  }

  /** Two models may need the same blob at the same time, and it has one partial file: one fetch after the other. */
  async #inTurn(blob: string, signal: AbortSignal, fetch: () => Promise<void>): Promise<void> {
    await this.#turns.take(blob, fetch, signal);
  }

  async #isThere(blob: string): Promise<boolean> {
    const { shelf, log } = this.#deps;
    if (!(await shelf.has(blob))) return false;
    const whole = await shelf.isWhole(blob);
    if (!whole) log.warn("transfer.blob.damaged", { blob });
    return whole;
  }

  /** Fetches the delta that is worth it, if there is one; one that cannot be had only means the longer way. */
  async #delta(
    artifact: Artifact,
    chunks: readonly Chunk[],
    hint: TransferHint | undefined,
    seeds: readonly Artifact[],
    signal: AbortSignal,
    onProgress: (progress: TransferProgress) => void,
  ): Promise<(FetchedDelta & { fetchedBytes: number }) | undefined> {
    const { shelf, log } = this.#deps;
    const known = new Set<string>();
    for (const { index, sizeBytes } of seeds) {
      for (const chunk of await chunksOf(index.sha256, sizeBytes, shelf)) known.add(chunk.sha256);
    }
    const share = hint?.deflatedBytes === undefined ? 1 : hint.deflatedBytes / artifact.sizeBytes;
    const cost = bytesOf(chunks.filter((chunk) => !known.has(chunk.sha256))) * share;
    for (const { base, delta } of [...(hint?.deltas ?? [])].sort((a, b) => a.delta.sizeBytes - b.delta.sizeBytes)) {
      if (delta.sizeBytes > cost * deltaMargin || !(await shelf.has(base))) continue;
      try {
        await this.fetchArtifact(delta, signal, onProgress);
        return { blob: delta.sha256, base, targetBytes: artifact.sizeBytes, fetchedBytes: delta.sizeBytes };
      } catch (error) {
        signal.throwIfAborted();
        log.warn("transfer.delta.unusable", { blob: artifact.sha256, base, reason: messageOf(error) });
        await shelf.remove(delta.sha256);
      }
    }
    return undefined;
  }

  /** Pulls pieces into a partial blob and finishes it, not before something else; returns how many bytes came over the link. */
  async #pull(
    blob: string,
    pieces: readonly Piece[],
    partial: PartialBlob,
    signal: AbortSignal,
    onDone: (doneBytes: number, paused?: string) => void,
    before?: Promise<unknown>,
  ): Promise<number> {
    this.#number = (this.#number + 1) >>> 0;
    const pull = new Pull(this.#deps, this.#number, blob, pieces, partial);
    await closing(partial, () => pull.run(signal, onDone).then(() => before), this.#deps.log);
    await partial.finish();
    return pull.sentBytes;
  }
}

/** A partial blob whose bytes are handed on when they are whole and verified, before the disk has them for good. */
function handingOn(partial: PartialBlob, blob: BlobRef, onBytes: (bytes: Buffer) => void): PartialBlob {
  const bytes = Buffer.alloc(blob.sizeBytes);
  return {
    present: partial.present,
    write: (offset, part) => {
      bytes.set(part, offset);
      return partial.write(offset, part);
    },
    finish: () => {
      if (sha256(bytes) === blob.sha256) onBytes(bytes);
      return partial.finish();
    },
    close: () => partial.close(),
  };
}

/** Does the work, and closes the partial blob when it fails. */
async function closing<T>(partial: PartialBlob, work: () => Promise<T>, log?: Log): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A full disk fails the closing as well; the first failure is the one to tell.
    await partial.close().catch((cause) => log?.warn("transfer.partial.unclosed", { error: cause }));
    throw error;
  }
}

function bytesOf(chunks: readonly { length: number }[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
