import { MusterError } from "@muster/shared";

const startOfImage = Buffer.from([0xff, 0xd8]);
const endOfImage = Buffer.from([0xff, 0xd9]);

/**
 * Cuts a stream of JPEGs, one after the other, into single ones. In the data of a JPEG every 0xff is followed by a zero
 * or a restart marker (ITU T.81, B.1.1.5), so the end marker is found by its bytes; ffmpeg writes no thumbnails, which
 * could hold another.
 */
export class JpegFrames {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #sizeBytes = 0;

  /** `maxBytes` of one frame. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that end in this piece of the stream. Throws `source/failed` for what cannot be one. */
  push(piece: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let rest = piece;
    for (;;) {
      const end = this.#endIn(rest);
      if (end === undefined) break;
      const frame = Buffer.concat([...this.#parts, rest.subarray(0, end)]);
      if (!frame.subarray(0, 2).equals(startOfImage)) throw new MusterError("source/failed", "the stream is no MJPEG");
      frames.push(frame);
      this.#parts = [];
      this.#sizeBytes = 0;
      rest = rest.subarray(end);
    }
    if (rest.length > 0) this.#parts.push(rest);
    this.#sizeBytes += rest.length;
    if (this.#sizeBytes > this.#maxBytes)
      throw new MusterError("source/failed", `a frame has more than ${this.#maxBytes} bytes`);
    return frames;
  }

  /** Where the frame that is being read ends in this piece. The marker may lie across two pieces. */
  #endIn(piece: Buffer): number | undefined {
    if (this.#parts.at(-1)?.at(-1) === 0xff && piece[0] === 0xd9) return 1;
    const at = piece.indexOf(endOfImage);
    return at === -1 ? undefined : at + endOfImage.length;
  }
}
