import { inflateRawSync } from "node:zlib";
import {
  type ChunkFrame,
  type ChunkReply,
  type Clock,
  frameHeaderBytes,
  type Log,
  MusterError,
  sha256,
} from "@muster/shared";
import type { Allowance } from "./allowance.js";
import { TransferWays } from "./core/transfer-ways.js";
import { windowLimits } from "./core/transfer-window.js";
import type { ChunkLink, PartialBlob } from "./ports.js";

export interface PullDeps {
  readonly link: ChunkLink;
  readonly clock: Clock;
  readonly log: Log;
  /** When and how much may be fetched. */
  readonly allowance: Pick<Allowance, "paused" | "spend">;
}

/** A piece of a blob to ask for. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  /** Known for chunks of an artifact; a manifest or an index is verified as a whole. */
  readonly sha256: string | undefined;
}

/** A connected link on which nothing arrives for so long has stalled. */
const stallMs = 5 * 60_000;
const supersededPauseMs = 5000;
/** So many damaged copies of one chunk mean that the source is wrong, not the link. */
const maxBadCopies = 3;
/** What may have arrived and not be written: twice what is ever asked for, because frames may come again. */
const maxHeldBytes = 2 * windowLimits.maxBytes;

/** Then it is time to ask for more, to tell, and to see whether to stop. */
const writtenAtOnceBytes = 256 * 1024;

/** One blob being pulled: asks, waits, verifies, writes, until nothing is missing. */
export class Pull {
  readonly #deps: PullDeps;
  readonly #transfer: number;
  readonly #blob: string;
  readonly #pieces: ReadonlyMap<number, Piece>;
  readonly #partial: PartialBlob;
  readonly #ways: TransferWays;
  readonly #accept: boolean;
  readonly #badCopies = new Map<number, number>();
  /** Frames that are not written yet, and when they arrived: a slow disk must not make the link seem slow. */
  readonly #frames: { readonly frame: ChunkFrame; readonly atMs: number }[] = [];
  #heldBytes = 0;
  #droppedFrames = 0;
  #refusal: MusterError | undefined;
  #sentBytes = 0;
  #paused: string | undefined;
  #pauseUntilMs = 0;
  /** When the transfer last came on, or was told why it does not. */
  #progressMs = 0;
  #wake: () => void = () => undefined;

  constructor(deps: PullDeps, transfer: number, blob: string, pieces: readonly Piece[], partial: PartialBlob) {
    this.#deps = deps;
    this.#transfer = transfer;
    this.#blob = blob;
    this.#pieces = new Map(pieces.map((piece) => [piece.offset, piece]));
    this.#partial = partial;
    this.#ways = new TransferWays(pieces);
    // Only where each piece has a digest can what was inflated be told from what was not.
    this.#accept = pieces.every((piece) => piece.sha256 !== undefined);
  }

  /** Bytes that came over the link. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  async run(signal: AbortSignal, onDone: (doneBytes: number, paused?: string) => void): Promise<void> {
    const { link, clock } = this.#deps;
    const stop = link.listen(this.#transfer, {
      onFrame: (frame) => this.#onFrame(frame),
      onReply: (reply) => this.#onReply(reply),
      onConnection: (connected) => this.#onConnection(connected),
      onLaneLost: (lane) => this.#onLaneLost(lane),
      leftBytes: () => this.#ways.leftBytes,
    });
    const abort = () => this.#wake();
    signal.addEventListener("abort", abort);
    try {
      let told: string | undefined;
      let doneBytes = 0;
      this.#progressMs = clock.steady();
      onDone(0);
      while (!this.#ways.done || this.#frames.length > 0) {
        signal.throwIfAborted();
        if (this.#refusal !== undefined) throw this.#refusal;
        const written = await this.#writeArrived();
        doneBytes += written;
        if (written > 0 || this.#paused !== told) onDone(doneBytes, this.#paused);
        told = this.#paused;
        // What is waited for on purpose is no stall.
        if (written > 0 || !link.connected || this.#paused !== undefined) this.#progressMs = clock.steady();
        if (clock.steady() - this.#progressMs > stallMs) {
          throw new MusterError("transfer/stalled", `no bytes of ${this.#blob.slice(0, 12)} for ${stallMs / 1000} s`);
        }
        this.#ask();
        if (this.#frames.length === 0 && !this.#ways.done) await this.#wait();
      }
    } finally {
      if (this.#droppedFrames > 0)
        this.#deps.log.warn("transfer.frames.dropped", { blob: this.#blob, frames: this.#droppedFrames });
      signal.removeEventListener("abort", abort);
      stop();
    }
  }

  #ask(): void {
    const nowMs = this.#deps.clock.steady();
    if (!this.#deps.link.connected || nowMs < this.#pauseUntilMs) return;
    // What describes an artifact is small, and always fetched.
    this.#paused = this.#accept ? this.#deps.allowance.paused() : undefined;
    if (this.#paused !== undefined) return;
    // What waits for the disk may be what seems overdue.
    for (const { way, overdue } of this.#frames.length > 0 ? [] : this.#ways.expire(nowMs)) {
      this.#deps.log.debug("transfer.timeout", { blob: this.#blob, overdue, lane: way });
      this.#deps.link.overdue(way);
    }
    const { ways } = this.#deps.link;
    for (let ask = this.#ways.ask(nowMs, ways); ask !== undefined; ask = this.#ways.ask(nowMs, ways)) {
      const ranges = ask.ranges.map(({ offset, length }): [number, number] => [offset, length]);
      const accept = this.#accept ? ({ accept: "deflate" } as const) : {};
      const lane = ask.way === 0 ? {} : { lane: ask.way };
      const request = { transfer: this.#transfer, request: ask.request, blob: this.#blob, ...accept, ...lane, ranges };
      this.#deps.link.request(request);
    }
  }

  /** Writes some of what has arrived and is as it should be; returns how many bytes that were. */
  async #writeArrived(): Promise<number> {
    let written = 0;
    while (written < writtenAtOnceBytes) {
      const arrived = this.#frames.shift();
      if (arrived === undefined) break;
      const { frame, atMs } = arrived;
      const { offset } = frame;
      this.#heldBytes -= heldBytes(frame);
      const piece = this.#pieces.get(offset);
      if (piece === undefined) continue;
      const bytes = plainBytes(frame, piece.length);
      if (!this.#ways.arrived(offset, piece.length, atMs)) continue;
      this.#sentBytes += frame.bytes.length;
      this.#deps.allowance.spend(frame.bytes.length);
      if (bytes === undefined || (piece.sha256 !== undefined && sha256(bytes) !== piece.sha256)) {
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
    this.#ways.again(piece);
  }

  #onFrame(frame: ChunkFrame): void {
    // A hub sends no more than was asked for; one that does must not fill this device's memory.
    if (this.#heldBytes + heldBytes(frame) > maxHeldBytes) {
      this.#droppedFrames += 1;
      return;
    }
    this.#heldBytes += heldBytes(frame);
    this.#frames.push({ frame, atMs: this.#deps.clock.steady() });
    this.#wake();
  }

  #onReply({ error, retryMs }: ChunkReply): void {
    if (error === "busy") {
      this.#ways.lost();
      // A hub that says so is there, and has others to serve first.
      this.#progressMs = this.#deps.clock.steady();
      this.#pauseUntilMs = this.#deps.clock.steady() + (retryMs ?? 1000) * (0.5 + Math.random());
    } else if (error === "superseded") {
      // What is wanted has changed; the document that says so is on its way and ends this transfer.
      this.#pauseUntilMs = this.#deps.clock.steady() + supersededPauseMs;
    } else {
      this.#refusal = new MusterError("transfer/refused", `the hub does not send ${this.#blob.slice(0, 12)}: ${error}`);
    }
    this.#wake();
  }

  #onConnection(connected: boolean): void {
    if (!connected) this.#ways.lost();
    this.#wake();
  }

  #onLaneLost(lane: number): void {
    this.#ways.lost(lane);
    this.#wake();
  }

  /** Until something arrives or it is time to look at the clock again. */
  async #wait(): Promise<void> {
    const askInMs = this.#ways.askInMs(this.#deps.clock.steady(), this.#deps.link.ways);
    const pauseMs = Math.max(1, Math.min(askInMs ?? 1000, this.#ways.timeoutMs() / 2, 1000));
    const controller = new AbortController();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#deps.clock.sleep(pauseMs, controller.signal).then(resolve, () => undefined);
    });
    controller.abort();
    this.#wake = () => undefined;
  }
}

/** What a frame takes of memory while it waits. */
function heldBytes({ bytes }: ChunkFrame): number {
  return frameHeaderBytes + bytes.length;
}

/** The bytes of a frame as they are in the blob; undefined when there are more or fewer, or they cannot be inflated. */
function plainBytes({ bytes, deflated }: ChunkFrame, length: number): Buffer | undefined {
  if (deflated !== true) return bytes.length === length ? bytes : undefined;
  try {
    const plain = inflateRawSync(bytes, { maxOutputLength: length });
    return plain.length === length ? plain : undefined;
  } catch {
    return undefined;
  }
}
