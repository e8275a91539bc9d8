import { type BlobStore, formatBytes, MusterError } from "@muster/shared";

export interface BlobLimits {
  /** Bytes in all, with what is on its way in. */
  readonly maxBytes: number;
  /** Blobs in all, with what is on its way in. */
  readonly maxBlobs: number;
  /** What to do when there is no room. */
  readonly cure: string;
}

/** A blob store that knows how much it holds and takes no more than it may. All writes and deletes have to go through it. */
export class CountedBlobs implements BlobStore {
  readonly #inner: BlobStore;
  readonly #limits: BlobLimits;
  readonly #note: (digest: string) => Promise<void>;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  /** Blobs and bytes that are being written. */
  readonly #coming = { blobs: 0, bytes: 0 };
  #refused = 0;

  private constructor(inner: BlobStore, limits: BlobLimits, note: (digest: string) => Promise<void>) {
    this.#inner = inner;
    this.#limits = limits;
    this.#note = note;
  }

  /** Counts what is there already. Without limits it only counts. `note` is told of each blob before it is there. */
  static async open(
    inner: BlobStore,
    { limits, note = async () => undefined }: { limits?: BlobLimits; note?: (digest: string) => Promise<void> } = {},
  ): Promise<CountedBlobs> {
    const none = { maxBytes: Number.POSITIVE_INFINITY, maxBlobs: Number.POSITIVE_INFINITY, cure: "" };
    const store = new CountedBlobs(inner, limits ?? none, note);
    for await (const { digest, sizeBytes } of inner.list()) store.#keep(digest, sizeBytes);
    return store;
  }

  /** How much is there, without what is still being written. */
  get held(): { blobs: number; bytes: number } {
    return { blobs: this.#sizes.size, bytes: this.#bytes };
  }

  /** Writes that were refused because there was no room, since it was opened. */
  get refused(): number {
    return this.#refused;
  }

  size(digest: string): Promise<number | undefined> {
    return this.#inner.size(digest);
  }

  read(digest: string, offset: number, length: number): Promise<Buffer> {
    return this.#inner.read(digest, offset, length);
  }

  readInto(digest: string, offset: number, targets: readonly Uint8Array[]): Promise<number> {
    return this.#inner.readInto(digest, offset, targets);
  }

  /** Throws `store/full` besides, when there is no room. */
  write(digest: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    return this.#taking(async (counted) => {
      await this.#note(digest);
      const sizeBytes = await this.#inner.write(digest, counted(source), maxBytes);
      this.#keep(digest, sizeBytes);
      return sizeBytes;
    });
  }

  /** Throws `store/full` besides, when there is no room. */
  add(
    source: AsyncIterable<Uint8Array>,
    maxBytes: number,
    beforeKept?: (digest: string) => Promise<void>,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    return this.#taking(async (counted) => {
      const blob = await this.#inner.add(counted(source), maxBytes, async (digest) => {
        await this.#note(digest);
        await beforeKept?.(digest);
      });
      this.#keep(blob.sha256, blob.sizeBytes);
      return blob;
    });
  }

  toFile(digest: string, path: string): Promise<void> {
    return this.#inner.toFile(digest, path);
  }

  async delete(digest: string): Promise<void> {
    await this.#inner.delete(digest);
    this.#bytes -= this.#sizes.get(digest) ?? 0;
    this.#sizes.delete(digest);
  }

  list(): AsyncIterable<{ digest: string; sizeBytes: number; modifiedMs: number }> {
    return this.#inner.list();
  }

  #keep(digest: string, sizeBytes: number): void {
    this.#bytes += sizeBytes - (this.#sizes.get(digest) ?? 0);
    this.#sizes.set(digest, sizeBytes);
  }

  async #taking<T>(
    write: (counted: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const mine = { blobs: 1, bytes: 0 };
    this.#coming.blobs += 1;
    try {
      this.#requireRoom();
      return await write((source) => this.#metered(source, mine));
    } finally {
      this.#coming.blobs -= mine.blobs;
      this.#coming.bytes -= mine.bytes;
    }
  }

  async *#metered(source: AsyncIterable<Uint8Array>, mine: { bytes: number }): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      mine.bytes += bytes.length;
      this.#coming.bytes += bytes.length;
      this.#requireRoom();
      yield bytes;
    }
  }

  #requireRoom(): void {
    const { maxBytes, maxBlobs, cure } = this.#limits;
    const fits = this.#sizes.size + this.#coming.blobs <= maxBlobs && this.#bytes + this.#coming.bytes <= maxBytes;
    if (fits) return;
    this.#refused += 1;
    const holds = `${this.#sizes.size} files of ${formatBytes(this.#bytes)}`;
    throw new MusterError("store/full", `there is no room for this file beside ${holds}; ${cure}`);
  }
}
