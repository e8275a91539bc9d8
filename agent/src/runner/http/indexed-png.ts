import { promisify } from "node:util";
import { crc32, deflate } from "node:zlib";

const compressed = promisify(deflate);
const signature = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/**
 * A PNG of 8 bits per pixel whose values are numbers of colours: what reads it as it is gets the numbers, what shows it
 * gets colours. A picture library would choose the numbers itself. `pixels` are width × height, row by row; the format is
 * that of ISO/IEC 15948.
 */
export async function indexedPng(width: number, height: number, pixels: Uint8Array): Promise<Buffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits, a palette, and the only compression, filter method and no interlacing.
  header.set([8, 3, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height);
  // Each row begins with its filter, 0 for none.
  for (let y = 0; y < height; y += 1) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const data = await compressed(rows);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Red, green and blue of a class: black first, neighbours far apart; the colours of PASCAL VOC's masks. */
export function classColour(klass: number): [red: number, green: number, blue: number] {
  const colour: [number, number, number] = [0, 0, 0];
  // Bits 0, 3, 6 of the number are the highest bits of red, bits 1, 4, 7 of green, bits 2, 5 of blue.
  for (let bit = 0; bit < 8; bit += 1) {
    const channel = bit % 3;
    colour[channel] = (colour[channel] ?? 0) | (((klass >> bit) & 1) << (7 - Math.floor(bit / 3)));
  }
  return colour;
}

const palette = Buffer.from(Array.from({ length: 256 }, (_, klass) => classColour(klass)).flat());

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
