import { z } from "zod";
import { MusterError } from "../errors.js";

/**
 * A delta rebuilds an artifact out of another one. It is a header (JSON, its length in front as u32, big endian) and a
 * body under deflate (RFC 1951). The body runs through the target from its first byte to its last: bytes outside of
 * segments as they are, segments as differences to the base, block by block; see {@link differences}.
 */
export const DeltaHeader = z.object({
  targetBytes: z.int().min(0),
  baseBytes: z.int().min(0),
  /** `[offset in the target, length, offset in the base, bytes per number]`, in the order of the target. */
  segments: z.array(
    z.tuple([z.int().min(0), z.int().min(1), z.int().min(0), z.union([z.literal(1), z.literal(2), z.literal(4)])]),
  ),
});
export type DeltaHeader = z.infer<typeof DeltaHeader>;
export type DeltaSegment = DeltaHeader["segments"][number];

/** Headers above this are refused. */
export const maxDeltaHeaderBytes = 4 * 1024 * 1024;
/** Segments are worked on in blocks of so many bytes. */
export const deltaBlockBytes = 256 * 1024;

/** One run of the target: a literal one has no base. Runs of a segment are blocks of at most {@link deltaBlockBytes}. */
export interface DeltaRun {
  readonly offset: number;
  readonly length: number;
  readonly base: { readonly offset: number; readonly width: 1 | 2 | 4 } | undefined;
}

/** The whole target as runs, in order. Throws `artifact/delta-invalid` when segments overlap or leave the files. */
export function* deltaRuns({ targetBytes, baseBytes, segments }: DeltaHeader): Generator<DeltaRun> {
  let at = 0;
  for (const [offset, length, baseOffset, width] of segments) {
    if (offset < at || offset + length > targetBytes || baseOffset + length > baseBytes || length % width !== 0) {
      throw new MusterError("artifact/delta-invalid", `the delta's segment at ${offset} does not fit its files`);
    }
    yield* blocks(at, offset - at, undefined);
    yield* blocks(offset, length, { offset: baseOffset, width });
    at = offset + length;
  }
  yield* blocks(at, targetBytes - at, undefined);
}

function* blocks(offset: number, length: number, base: DeltaRun["base"]): Generator<DeltaRun> {
  for (let done = 0; done < length; done += deltaBlockBytes) {
    const from = base === undefined ? undefined : { ...base, offset: base.offset + done };
    yield { offset: offset + done, length: Math.min(deltaBlockBytes, length - done), base: from };
  }
}

/**
 * A block as its difference to the base: numbers of `width` bytes (little endian), zigzag so that small differences of
 * either sign are small, and split into planes, low bytes first, so that the zeros of small numbers stand together.
 */
export function differences(target: Uint8Array, base: Uint8Array, width: 1 | 2 | 4): Buffer {
  const count = target.length / width;
  const planes = Buffer.allocUnsafe(target.length);
  const [to, from] = [numbers(target, width), numbers(base, width)];
  const shift = 32 - 8 * width;
  for (let at = 0; at < count; at += 1) {
    // Shifted to the top of 32 bits, so that the difference wraps where a number of this width does.
    const difference = (((to(at) - from(at)) | 0) << shift) >> shift;
    const zigzag = (difference << 1) ^ (difference >> 31);
    for (let plane = 0; plane < width; plane += 1) planes[plane * count + at] = zigzag >>> (8 * plane);
  }
  return planes;
}

/** The block that {@link differences} was made of. */
export function fromDifferences(planes: Uint8Array, base: Uint8Array, width: 1 | 2 | 4): Buffer {
  const count = planes.length / width;
  const target = Buffer.allocUnsafe(planes.length);
  const from = numbers(base, width);
  for (let at = 0; at < count; at += 1) {
    let zigzag = 0;
    for (let plane = 0; plane < width; plane += 1) zigzag |= (planes[plane * count + at] ?? 0) << (8 * plane);
    const number = (from(at) + ((zigzag >>> 1) ^ -(zigzag & 1))) | 0;
    for (let byte = 0; byte < width; byte += 1) target[at * width + byte] = number >>> (8 * byte);
  }
  return target;
}

function numbers(bytes: Uint8Array, width: 1 | 2 | 4): (at: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (width === 1) return (at) => view.getInt8(at);
  if (width === 2) return (at) => view.getInt16(2 * at, true);
  return (at) => view.getInt32(4 * at, true);
}

/** The header as the bytes in front of a delta's body. */
export function encodeDeltaHeader(header: DeltaHeader): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}
