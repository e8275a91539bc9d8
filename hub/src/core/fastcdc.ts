/** Bounds of a chunk in bytes. */
export interface ChunkBounds {
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

/** What the hub cuts with: small enough for any broker, large enough that an index stays small. */
export const chunkBounds: ChunkBounds = { min: 32 * 1024, average: 128 * 1024, max: 256 * 1024 };

const gear = gearTable();

/**
 * The length of the first chunk of `bytes`: FastCDC with normalised chunking of level 2 (Xia et al.,
 * USENIX ATC 2016). The cut depends on contents only, so an insertion moves the chunks after it
 * without changing them. Give at least `max` bytes unless the input ends before.
 */
export function firstChunkLength(bytes: Uint8Array, { min, average, max }: ChunkBounds = chunkBounds): number {
  const end = Math.min(bytes.length, max);
  if (end <= min) return end;
  const bits = Math.round(Math.log2(average));
  const strict = mask(bits + 2);
  const loose = mask(bits - 2);
  const middle = Math.min(average, end);
  let fingerprint = 0;
  for (let at = min; at < end; at += 1) {
    fingerprint = ((fingerprint << 1) + (gear[bytes[at] ?? 0] ?? 0)) | 0;
    if ((fingerprint & (at < middle ? strict : loose)) === 0) return at + 1;
  }
  return end;
}

/** The high bits of a 32-bit word: they depend on the last 32 bytes, the low ones on fewer. */
function mask(bits: number): number {
  return -1 << (32 - bits);
}

/** 256 fixed pseudo-random words (xorshift32). They are part of the format of stored chunk boundaries. */
function gearTable(): Int32Array {
  let state = 0x2545f491;
  return Int32Array.from({ length: 256 }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  });
}
