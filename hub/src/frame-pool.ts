import { frameHeaderBytes, maxChunkBytes } from "@muster/shared";
import { linkRoomBytes } from "./ports.js";

const wholeBytes = linkRoomBytes + frameHeaderBytes + maxChunkBytes;
/** Buffers kept for the next frames; more are left to the collector. */
const kept = 64;

/**
 * Buffers for frames, used again and again. A new one per chunk would have the collector run for every 32 MB sent, which
 * costs more than sending them.
 */
export class FramePool {
  readonly #free: Buffer[] = [];

  /** A buffer for a link's room, a frame's header and so many bytes of a chunk; its contents are those of an earlier one. */
  take(payloadBytes: number): Buffer {
    const whole = this.#free.pop() ?? Buffer.allocUnsafeSlow(wholeBytes);
    return whole.subarray(0, linkRoomBytes + frameHeaderBytes + payloadBytes);
  }

  /** Gives a frame back that was sent; it must not be used after. */
  give(frame: Buffer): void {
    if (this.#free.length < kept) this.#free.push(Buffer.from(frame.buffer, 0, wholeBytes));
  }
}
