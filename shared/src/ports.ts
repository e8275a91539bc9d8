/** Time, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since the epoch; jumps when somebody sets the clock. For moments that others are told of. */
  now(): number;
  /** Milliseconds that only go forward, whatever becomes of the time of day. For how long something takes. */
  steady(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Where events of the program are told: an event name (`area.thing.happened`) and its fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}
export type LogFields = Readonly<Record<string, unknown>>;

/** One JSON document, read whole and written whole. */
export interface DocStore<T> {
  /** A copy of the stored document, or of the initial one. Throws `store/damaged` if it cannot be read. */
  read(): Promise<T>;
  /** Replaces the document. After it resolves, a crash cannot lose it or leave half of it. */
  write(next: T): Promise<void>;
}

/** Immutable bytes by their SHA-256. */
export interface BlobStore {
  /** Size in bytes, or undefined when the blob is not there. */
  size(digest: string): Promise<number | undefined>;
  /** `length` bytes from `offset`; fewer only at the end. Throws `artifact/missing`. */
  read(digest: string, offset: number, length: number): Promise<Buffer>;
  /** The same into buffers of one's own, one filled after the other; returns how many bytes there were. Throws `artifact/missing`. */
  readInto(digest: string, offset: number, targets: readonly Uint8Array[]): Promise<number>;
  /**
   * Stores the bytes under their digest and returns their size. Throws `artifact/digest-mismatch`
   * or, past `maxBytes`, `artifact/too-large`; then nothing is stored. Storing a blob again is a no-op.
   * After it resolves, a crash cannot lose it.
   */
  write(digest: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number>;
  /**
   * Stores bytes whose digest is not known yet, and names them. `beforeKept` is told the digest, and awaited, before the blob
   * is there. Throws `artifact/too-large` as {@link write} does.
   */
  add(
    source: AsyncIterable<Uint8Array>,
    maxBytes: number,
    beforeKept?: (digest: string) => Promise<void>,
  ): Promise<{ sha256: string; sizeBytes: number }>;
  /** Makes the blob readable as a file at `path`; throws when that exists. Throws `artifact/missing`. */
  toFile(digest: string, path: string): Promise<void>;
  /** Removes the blob; no error when it is not there. */
  delete(digest: string): Promise<void>;
  /** Every stored blob. */
  list(): AsyncIterable<{ digest: string; sizeBytes: number; modifiedMs: number }>;
}
