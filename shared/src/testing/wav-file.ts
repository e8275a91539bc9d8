/** How samples are stored. */
export interface WavFormat {
  readonly rate: number;
  readonly bits: 8 | 16 | 24 | 32 | 64;
  readonly float?: boolean;
  readonly extensible?: boolean;
}

/** A WAV file of channels of equal length, samples −1..1. */
export function wavFile(
  channels: readonly ArrayLike<number>[],
  { rate, bits, float = false, extensible = false }: WavFormat,
): Buffer {
  const width = bits / 8;
  const frames = channels[0]?.length ?? 0;
  const body = Buffer.alloc(frames * channels.length * width);
  for (let frame = 0, at = 0; frame < frames; frame += 1) {
    for (const channel of channels) at = write(body, at, channel[frame] ?? 0, bits, float);
  }
  const format = Buffer.alloc(extensible ? 40 : 16);
  const kind = float ? 3 : 1;
  format.writeUInt16LE(extensible ? 0xfffe : kind, 0);
  format.writeUInt16LE(channels.length, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE(rate * channels.length * width, 8);
  format.writeUInt16LE(channels.length * width, 12);
  format.writeUInt16LE(bits, 14);
  if (extensible) format.writeUInt16LE(kind, 24);
  // An odd chunk of notes in front, as recorders leave them.
  const chunks = Buffer.concat([chunk("note", Buffer.from("odd")), chunk("fmt ", format), chunk("data", body)]);
  const head = Buffer.from("RIFF\0\0\0\0WAVE");
  head.writeUInt32LE(chunks.length + 4, 4);
  return Buffer.concat([head, chunks]);
}

function write(body: Buffer, at: number, sample: number, bits: number, float: boolean): number {
  if (float) return bits === 32 ? body.writeFloatLE(sample, at) : body.writeDoubleLE(sample, at);
  const most = 2 ** (bits - 1);
  const value = Math.max(-most, Math.min(most - 1, Math.round(sample * most)));
  return bits === 8 ? body.writeUInt8(value + 128, at) : body.writeIntLE(value, at, bits / 8);
}

function chunk(name: string, bytes: Buffer): Buffer {
  const head = Buffer.from(`${name}\0\0\0\0`);
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes, Buffer.alloc(bytes.length % 2)]);
}
