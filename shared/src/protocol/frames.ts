import { MusterError } from "../errors.js";
import { maxChunkBytes } from "../model/chunk-index.js";

/** A piece of a blob on its way to a device. */
export interface ChunkFrame {
  /** The transfer it belongs to, as numbered by the device. */
  readonly transfer: number;
  /** The request it answers. */
  readonly request: number;
  /** Bytes from the start of the blob. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** The bytes are compressed (RFC 1951); their plain length is that of the range asked for. */
  readonly deflated?: boolean;
}

/** Bytes in front of the payload. */
export const frameHeaderBytes = 24;
const magic = 0x4d73;
const version = 1;

/** Flags of a frame. */
const flags = { deflated: 1 };

/**
 * A frame as bytes, big endian: magic u16 `Ms`, version u8, flags u8 (1: deflated), transfer u32, request u32,
 * offset u64, length u32, then the payload. No digest: the signed index has it.
 */
export function encodeFrame(frame: ChunkFrame): Buffer {
  const encoded = Buffer.allocUnsafe(frameHeaderBytes + frame.bytes.length);
  frame.bytes.copy(encoded, frameHeaderBytes);
  writeFrameHeader(encoded, frame, frame.bytes.length);
  return encoded;
}

/** Writes the header of a frame whose `length` bytes lie behind it in the same buffer already. */
export function writeFrameHeader(
  frame: Buffer,
  { transfer, request, offset, deflated }: Omit<ChunkFrame, "bytes">,
  length: number,
): void {
  frame.writeUInt16BE(magic, 0);
  frame.writeUInt8(version, 2);
  frame.writeUInt8(deflated === true ? flags.deflated : 0, 3);
  frame.writeUInt32BE(transfer, 4);
  frame.writeUInt32BE(request, 8);
  frame.writeBigUInt64BE(BigInt(offset), 12);
  frame.writeUInt32BE(length, 20);
}

/** Reads a frame; its bytes are a view, not a copy. Throws `frame/invalid` naming the field that is off. */
export function decodeFrame(frame: Buffer): ChunkFrame {
  if (frame.length < frameHeaderBytes) throw damaged(`length: ${frame.length} bytes are less than a header`);
  if (frame.readUInt16BE(0) !== magic) throw damaged("magic: not a Muster frame");
  if (frame.readUInt8(2) !== version) throw damaged(`version: ${frame.readUInt8(2)} is not known; update the agent`);
  const flag = frame.readUInt8(3);
  if (flag > flags.deflated) throw damaged(`flags: ${flag} are not known; update the agent`);
  const offset = frame.readBigUInt64BE(12);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`offset: ${offset} is beyond any blob`);
  const length = frame.readUInt32BE(20);
  if (length !== frame.length - frameHeaderBytes)
    throw damaged(`length: says ${length}, carries ${frame.length - frameHeaderBytes}`);
  if (length > maxChunkBytes) throw damaged(`length: ${length} is more than ${maxChunkBytes}`);
  return {
    transfer: frame.readUInt32BE(4),
    request: frame.readUInt32BE(8),
    offset: Number(offset),
    bytes: frame.subarray(frameHeaderBytes),
    ...(flag === flags.deflated ? { deflated: true } : {}),
  };
}

function damaged(why: string): MusterError {
  return new MusterError("frame/invalid", `chunk frame does not fit: ${why}`);
}
