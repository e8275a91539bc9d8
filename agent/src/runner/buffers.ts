/** So many bytes of memory are kept to be used again, and so many pieces of one length. */
const maxKeptBytes = 16_000_000;
const maxKeptAlike = 8;

/**
 * Memory of tensors that is used again. A new piece for each request would make the garbage collector run every few hundred
 * requests, and its pages would have to be mapped each time.
 */
export class Buffers {
  readonly #kept = new Map<number, ArrayBuffer[]>();
  #keptBytes = 0;

  /** Memory of exactly this length; what it holds is left from its last use. */
  take(length: number): ArrayBuffer {
    const kept = this.#kept.get(length)?.pop();
    if (kept === undefined) return new ArrayBuffer(length);
    this.#keptBytes -= length;
    return kept;
  }

  /** Takes back what nobody uses any more. */
  give(buffer: ArrayBuffer): void {
    const length = buffer.byteLength;
    const alike = this.#kept.get(length) ?? [];
    if (length === 0 || alike.length >= maxKeptAlike || this.#keptBytes + length > maxKeptBytes) return;
    if (alike.length === 0 && this.#kept.size > maxKeptAlike) this.#forget();
    alike.push(buffer);
    this.#kept.set(length, alike);
    this.#keptBytes += length;
  }

  /** Lengths that are not asked for any more must not keep others from being kept. */
  #forget(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }
}
