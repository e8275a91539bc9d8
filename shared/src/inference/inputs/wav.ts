import { MusterError } from "../../errors.js";

/** A recording with one channel. */
export interface Recording {
  /** −1..1 */
  readonly data: Float32Array<ArrayBuffer>;
  /** Samples per second. */
  readonly rate: number;
}

/** The most a recording may cost. */
export const wavLimits = { maxBytes: 20_000_000, maxChannels: 32 };

interface Format {
  readonly float: boolean;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/**
 * Reads a RIFF WAVE file: PCM of 8, 16, 24 or 32 bits, or float of 32 or 64, plain or extensible; channels are mixed to one by
 * their mean. Throws `input/invalid` with what is wrong, `input/too-large`.
 */
export function readWav(bytes: Uint8Array): Recording {
  if (bytes.length > wavLimits.maxBytes) {
    throw new MusterError(
      "input/too-large",
      `the recording has ${bytes.length} bytes, at most ${wavLimits.maxBytes} are taken`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 12 || tag(view, 0) !== "RIFF" || tag(view, 8) !== "WAVE") {
    throw unfit("the bytes are no WAV file; send one with PCM or float samples");
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (tag(view, at) === "fmt ") format = readFormat(view, start, size);
    if (tag(view, at) === "data") {
      if (format === undefined) throw unfit("the samples come before their format");
      // A recorder that streams does not know the size yet and writes 0 or the largest number.
      const streamed = size === 0 || size === 0xffffffff;
      if (!streamed && start + size > view.byteLength) {
        throw unfit(`${start + size - view.byteLength} bytes of the samples are missing; send the whole file`);
      }
      return samples(view, start, streamed ? view.byteLength - start : size, format);
    }
    at = start + size + (size % 2);
  }
  throw unfit("there are no samples in the file");
}

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16 || at + size > view.byteLength) throw unfit("its format is cut off");
  const code = view.getUint16(at, true);
  const extensible = code === 0xfffe && size >= 40;
  const kind = extensible ? view.getUint16(at + 24, true) : code;
  const format = {
    float: kind === 3,
    channels: view.getUint16(at + 2, true),
    rate: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
  const known = kind === 1 ? [8, 16, 24, 32] : kind === 3 ? [32, 64] : [];
  if (!known.includes(format.bits)) {
    throw unfit(
      `its samples are of format ${kind} with ${format.bits} bits; PCM of 8, 16, 24 or 32 bits and float of 32 or 64 are taken`,
    );
  }
  const { channels, rate } = format;
  if (channels < 1 || channels > wavLimits.maxChannels)
    throw unfit(`it has ${channels} channels, 1 to ${wavLimits.maxChannels} are taken`);
  if (rate < 1000 || rate > 384_000) throw unfit(`its rate is ${rate}, 1000 to 384000 samples per second are taken`);
  return format;
}

function samples(view: DataView, start: number, size: number, { float, channels, rate, bits }: Format): Recording {
  const width = bits / 8;
  const frames = Math.floor(size / (width * channels));
  if (frames === 0) throw unfit("it holds no samples");
  const read = reader(view, float, bits);
  const data = new Float32Array(frames);
  for (let frame = 0, at = start; frame < frames; frame += 1) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel += 1, at += width) sum += read(at);
    const sample = sum / channels;
    if (!Number.isFinite(sample)) throw unfit(`sample ${frame} is not a number`);
    data[frame] = sample;
  }
  return { data, rate };
}

function reader(view: DataView, float: boolean, bits: number): (at: number) => number {
  if (float) return bits === 32 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, true) / 0x8000;
  if (bits === 24) return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 0x10000) / 0x800000;
  return (at) => view.getInt32(at, true) / 0x80000000;
}

function tag(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

function unfit(message: string): MusterError {
  return new MusterError("input/invalid", `the recording cannot be read: ${message}`);
}
