import {
  type Artifact,
  type BlobRef,
  type ChunkFrame,
  type ChunkReply,
  type Clock,
  decodeChunkIndex,
  formatBytes,
  type Log,
  MusterError,
  maxChunkBytes,
  sha256,
} from "@muster/shared";
import { TransferWindow } from "./core/transfer-window.js";
import type { BlobShelf, ChunkLink, PartialBlob } from "./ports.js";

export interface TransferDeps {
  readonly link: ChunkLink;
  readonly shelf: BlobShelf;
  readonly clock: Clock;
  readonly log: Log;
  /** Larger artifacts are refused before a byte is asked for. */
  readonly maxArtifactBytes: number;
}

/** How far a transfer is. */
export interface TransferProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

interface Piece {
  readonly offset: number;
  readonly length: number;
  /** Known for chunks of an artifact; a manifest or an index is verified as a whole. */
  readonly sha256: string | undefined;
}

/** A connected link on which nothing arrives for so long has stalled. */
const stallMs = 5 * 60_000;
/** So many damaged copies of one chunk mean that the source is wrong, not the link. */
const maxBadCopies = 3;
/** Metadata above this is not metadata. */
const maxSmallBytes = 64 * 1024 * 1024;

/** Brings blobs to this device by asking for ranges, verifying each before it is written. */
export class Transfer {
  readonly #deps: TransferDeps;
  #number = Math.floor(Math.random() * 0x7fff_ffff);

  constructor(deps: TransferDeps) {
    this.#deps = deps;
  }

  /**
   * Fetches an artifact, resuming what an earlier try left. Throws `artifact/digest-mismatch`,
   * `artifact/index-invalid`, `artifact/too-large`, `transfer/refused`, `transfer/stalled`, or the
   * signal's reason; what has arrived stays for the next try.
   */
  async fetchArtifact(
    artifact: Artifact,
    signal: AbortSignal,
    onProgress: (progress: TransferProgress) => void,
  ): Promise<void> {
    const { shelf, maxArtifactBytes, log } = this.#deps;
    if (await shelf.has(artifact.sha256)) return;
    if (artifact.sizeBytes > maxArtifactBytes) {
      const sizes = `${formatBytes(artifact.sizeBytes)}, this device takes ${formatBytes(maxArtifactBytes)}`;
      throw new MusterError("artifact/too-large", `artifact has ${sizes}; raise maxArtifactBytes`);
    }
    await this.fetchSmall(artifact.index, signal);
    const chunks = decodeChunkIndex(await shelf.read(artifact.index.sha256), artifact.sizeBytes);
    const partial = await shelf.begin(artifact.sha256, artifact.sizeBytes, chunks);
    const missing = chunks.filter(({ offset }) => !partial.present.has(offset));
    const presentBytes = artifact.sizeBytes - missing.reduce((sum, { length }) => sum + length, 0);
    if (presentBytes > 0)
      log.info("transfer.resumed", { blob: artifact.sha256, presentBytes, totalBytes: artifact.sizeBytes });
    await this.#pull(artifact.sha256, missing, partial, signal, (doneBytes) =>
      onProgress({ doneBytes: presentBytes + doneBytes, totalBytes: artifact.sizeBytes }),
    );
    log.info("transfer.completed", { blob: artifact.sha256, fetchedBytes: artifact.sizeBytes - presentBytes });
  }

  /** Fetches a manifest, an index or a sample, which is verified as a whole. Throws as {@link fetchArtifact}. */
  async fetchSmall(blob: BlobRef, signal: AbortSignal): Promise<void> {
    if (await this.#deps.shelf.has(blob.sha256)) return;
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
    const partial = await this.#deps.shelf.begin(blob.sha256, blob.sizeBytes, []);
    await this.#pull(blob.sha256, pieces, partial, signal, () => undefined);
  }

  async #pull(
    blob: string,
    pieces: readonly Piece[],
    partial: PartialBlob,
    signal: AbortSignal,
    onDone: (doneBytes: number) => void,
  ): Promise<void> {
    this.#number = (this.#number + 1) >>> 0;
    const pull = new Pull(this.#deps, this.#number, blob, pieces, partial);
    try {
      await pull.run(signal, onDone);
    } catch (error) {
      // A full disk fails the closing as well; the first failure is the one to tell.
      await partial
        .close()
        .catch((closing) => this.#deps.log.warn("transfer.partial.unclosed", { blob, error: closing }));
      throw error;
    }
    await partial.finish();
  }
}

/** One blob being pulled: asks, waits, verifies, writes, until nothing is missing. */
class Pull {
  readonly #deps: TransferDeps;
  readonly #transfer: number;
  readonly #blob: string;
  readonly #pieces: ReadonlyMap<number, Piece>;
  readonly #partial: PartialBlob;
  readonly #window: TransferWindow;
  readonly #badCopies = new Map<number, number>();
  /** Frames that have arrived and are not written yet; bounded by the window. */
  readonly #frames: ChunkFrame[] = [];
  #refusal: MusterError | undefined;
  #pauseUntilMs = 0;
  #wake: () => void = () => undefined;

  constructor(deps: TransferDeps, transfer: number, blob: string, pieces: readonly Piece[], partial: PartialBlob) {
    this.#deps = deps;
    this.#transfer = transfer;
    this.#blob = blob;
    this.#pieces = new Map(pieces.map((piece) => [piece.offset, piece]));
    this.#partial = partial;
    this.#window = new TransferWindow(pieces);
  }

  async run(signal: AbortSignal, onDone: (doneBytes: number) => void): Promise<void> {
    const { link, clock } = this.#deps;
    const stop = link.listen(this.#transfer, {
      onFrame: (frame) => this.#onFrame(frame),
      onReply: (reply) => this.#onReply(reply),
      onConnection: (connected) => this.#onConnection(connected),
    });
    const abort = () => this.#wake();
    signal.addEventListener("abort", abort);
    try {
      let doneBytes = 0;
      let progressMs = clock.now();
      onDone(0);
      while (!this.#window.done || this.#frames.length > 0) {
        signal.throwIfAborted();
        if (this.#refusal !== undefined) throw this.#refusal;
        const written = await this.#writeArrived();
        doneBytes += written;
        if (written > 0) onDone(doneBytes);
        if (written > 0 || !link.connected) progressMs = clock.now();
        if (clock.now() - progressMs > stallMs) {
          throw new MusterError("transfer/stalled", `no bytes of ${this.#blob.slice(0, 12)} for ${stallMs / 1000} s`);
        }
        this.#ask();
        if (this.#frames.length === 0 && !this.#window.done) await this.#wait();
      }
    } finally {
      signal.removeEventListener("abort", abort);
      stop();
    }
  }

  #ask(): void {
    const nowMs = this.#deps.clock.now();
    if (!this.#deps.link.connected || nowMs < this.#pauseUntilMs) return;
    const overdue = this.#window.expire(nowMs);
    if (overdue > 0)
      this.#deps.log.debug("transfer.timeout", { blob: this.#blob, overdue, windowBytes: this.#window.windowBytes });
    for (let ask = this.#window.ask(nowMs); ask !== undefined; ask = this.#window.ask(nowMs)) {
      const ranges = ask.ranges.map(({ offset, length }): [number, number] => [offset, length]);
      this.#deps.link.request({ transfer: this.#transfer, request: ask.request, blob: this.#blob, ranges });
    }
  }

  /** Writes what has arrived and is as it should be; returns how many bytes that were. */
  async #writeArrived(): Promise<number> {
    let written = 0;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      const { offset, bytes } = frame;
      const piece = this.#pieces.get(offset);
      if (piece === undefined || !this.#window.arrived(offset, bytes.length, this.#deps.clock.now())) continue;
      if (piece.sha256 !== undefined && sha256(bytes) !== piece.sha256) {
        this.#countBadCopy(piece);
        continue;
      }
      await this.#partial.write(offset, bytes);
      written += bytes.length;
    }
    return written;
  }

  #countBadCopy(piece: Piece): void {
    const copies = (this.#badCopies.get(piece.offset) ?? 0) + 1;
    this.#badCopies.set(piece.offset, copies);
    this.#deps.log.warn("transfer.chunk.damaged", { blob: this.#blob, offset: piece.offset, copies });
    if (copies >= maxBadCopies) {
      const message = `chunk at ${piece.offset} of ${this.#blob} arrived damaged ${copies} times`;
      this.#refusal = new MusterError("artifact/digest-mismatch", message);
    }
    this.#window.again(piece);
  }

  #onFrame(frame: ChunkFrame): void {
    this.#frames.push(frame);
    this.#wake();
  }

  #onReply({ error, retryMs }: ChunkReply): void {
    if (error === "busy") {
      this.#window.lost();
      this.#pauseUntilMs = this.#deps.clock.now() + (retryMs ?? 1000) * (0.5 + Math.random());
    } else {
      this.#refusal = new MusterError("transfer/refused", `the hub does not send ${this.#blob.slice(0, 12)}: ${error}`);
    }
    this.#wake();
  }

  #onConnection(connected: boolean): void {
    if (!connected) this.#window.lost();
    this.#wake();
  }

  /** Until something arrives or it is time to look at the clock again. */
  async #wait(): Promise<void> {
    const pauseMs = Math.max(20, Math.min(this.#window.timeoutMs() / 2, 1000));
    const controller = new AbortController();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#deps.clock.sleep(pauseMs, controller.signal).then(resolve, () => undefined);
    });
    controller.abort();
    this.#wake = () => undefined;
  }
}
