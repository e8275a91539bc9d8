/** Keys remembered that were asked for once. */
const maxSeen = 10_000;

/**
 * Buffers by key up to a number of bytes; the one unused for longest goes first. Ask {@link wants} before: what
 * one device alone asks for would only push out what many do.
 */
export class ByteCache {
  readonly #maxBytes: number;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Buffer>();
  readonly #seen = new Set<string>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Buffer | undefined {
    const found = this.#entries.get(key);
    if (found === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found;
  }

  /** Keeps a buffer; one larger than the whole cache is not kept. */
  put(key: string, value: Buffer): void {
    const before = this.#entries.get(key);
    if (before !== undefined) {
      this.#entries.delete(key);
      this.#bytes -= before.length;
    }
    if (value.length > this.#maxBytes) return;
    this.#entries.set(key, value);
    this.#bytes += value.length;
    for (const [oldest, { length }] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#entries.delete(oldest);
      this.#bytes -= length;
    }
  }

  /** Whether it is worth keeping so many bytes: they are not here, fit, and were asked for before, not too long ago. */
  wants(key: string, bytes: number): boolean {
    if (bytes > this.#maxBytes || this.#entries.has(key)) return false;
    if (this.#seen.delete(key)) return true;
    this.#seen.add(key);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= maxSeen) break;
      this.#seen.delete(oldest);
    }
    return false;
  }
}
