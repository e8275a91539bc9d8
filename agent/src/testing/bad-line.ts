import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import {
  type Artifact,
  type ChunkFrame,
  type ChunkReply,
  type ChunkRequest,
  type Clock,
  encodeChunkIndex,
  type Log,
  sha256,
} from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import type { FakeClock } from "@muster/shared/testing";
import { FolderShelf } from "../adapters/folder-shelf.js";
import type { ChunkLink, ChunkListener } from "../ports.js";
import { Transfer } from "../transfer.js";

/** Length of a chunk of every artifact here. */
export const chunkBytes = 64 * 1024;
/** A signal that is never given. */
export const never: AbortSignal = new AbortController().signal;

/** A hub at the other end of a bad line: answers requests from memory, and does to frames what a test wants. */
export class Line implements ChunkLink {
  connected = true;
  ways: number[] = [0];
  /** Ways on which something was overdue. */
  readonly late: number[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly asked: ChunkRequest[] = [];
  sentBytes = 0;
  deflate = false;
  /** Why nothing may be fetched now. */
  pause: string | undefined;
  spentBytes = 0;
  /** What may still be fetched today. */
  allowedBytes = Number.POSITIVE_INFINITY;
  /** Warnings of the device. */
  readonly warned: string[] = [];
  mangle: (bytes: Buffer, count: number) => Buffer[] = (bytes) => [bytes];
  /** Gives a frame to the device; now, later, more than once, changed or never. */
  carry: (frame: ChunkFrame, deliver: (frame: ChunkFrame) => void) => void = (frame, deliver) => deliver(frame);
  #listener: ChunkListener | undefined;
  #count = 0;

  request(request: ChunkRequest): void {
    this.asked.push(request);
    const blob = this.blobs.get(request.blob);
    const { transfer, request: number } = request;
    if (blob === undefined) {
      setImmediate(() => this.#listener?.onReply({ transfer, request: number, error: "gone" }));
      return;
    }
    for (const [offset, length] of request.ranges) {
      setImmediate(() => {
        this.#count += 1;
        for (const bytes of this.mangle(Buffer.from(blob.subarray(offset, offset + length)), this.#count)) {
          const deflated = this.deflate && request.accept === "deflate";
          const sent = deflated ? deflateRawSync(bytes) : bytes;
          this.sentBytes += sent.length;
          const frame = { transfer, request: number, offset, bytes: sent, ...(deflated ? { deflated } : {}) };
          this.carry(frame, (carried) => this.#listener?.onFrame(carried));
        }
      });
    }
  }

  listen(_transfer: number, listener: ChunkListener): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }

  overdue(way: number): void {
    this.late.push(way);
  }

  /** A frame comes by the device's own connection. */
  give(frame: ChunkFrame): void {
    this.#listener?.onFrame(frame);
  }

  /** Ends a lane; what was asked for on it and has not come does not come any more. */
  loseLane(lane: number): void {
    this.ways = this.ways.filter((way) => way !== lane);
    this.#listener?.onLaneLost(lane);
  }

  paused(): string | undefined {
    return this.pause;
  }

  leftBytes(): number {
    return this.allowedBytes;
  }

  spend(bytes: number): void {
    this.spentBytes += bytes;
  }

  /** Answers as a hub does that has no bytes to give now. */
  answer(reply: ChunkReply): void {
    this.#listener?.onReply(reply);
  }

  cut(): void {
    this.connected = false;
    this.#listener?.onConnection(false);
  }

  mend(): void {
    this.connected = true;
    this.#listener?.onConnection(true);
  }
}

/** Puts an artifact and its index at the other end of the line. */
export function offer(line: Line, bytes: Buffer): Artifact {
  const chunks: { length: number; sha256: string }[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes);
    chunks.push({ length: chunk.length, sha256: sha256(chunk) });
  }
  const index = encodeChunkIndex(chunks);
  line.blobs.set(sha256(bytes), bytes);
  line.blobs.set(sha256(index), index);
  const indexRef = { sha256: sha256(index), sizeBytes: index.length };
  return { sha256: sha256(bytes), sizeBytes: bytes.length, index: indexRef };
}

/** A device with a shelf of its own, and an artifact at the other end of its line. */
export async function bench(bytes = randomBytes(20 * chunkBytes + 123), clock: Clock = systemClock) {
  const folder = await mkdtemp(join(tmpdir(), "muster-transfer-"));
  const line = new Line();
  const artifact = offer(line, bytes);
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (event) => line.warned.push(event),
    error: () => undefined,
  };
  const open = async () => {
    const shelf = await FolderShelf.open(folder);
    return {
      shelf,
      transfer: new Transfer({
        link: line,
        shelf,
        ...{ clock, log },
        allowance: line,
        maxArtifactBytes: 100_000_000,
      }),
    };
  };
  return { folder, bytes, artifact, line, open, ...(await open()) };
}

/** Lets a fake clock run, far ahead of the real one, until the work is done. */
export async function hurried<T>(clock: FakeClock, work: Promise<T>, stepMs = 50): Promise<T> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  while (!over) {
    // A turn of the event loop and more, so that what the disk has done is seen.
    await new Promise((resolve) => setTimeout(resolve, 1));
    clock.advance(stepMs);
  }
  return work;
}

/** The digest of a file. */
export const digestOf = async (path: string) =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
