/**
 * How many bytes a decoder has to hold for a picture as a whole, read from its header. Most are decoded line by line and hold
 * next to nothing; a progressive JPEG (ITU-T T.81, two bytes per coefficient), an interlaced PNG (RFC 2083 §2.6) and a WebP
 * (RFC 9649, four bytes per pixel) are not. 0 also for what has no such header.
 */
export function heldBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (bytes[0] === 0xff) return heldByJpeg(view);
    return bytes[0] === 0x89 ? heldByPng(view) : heldByWebp(view);
  } catch (error) {
    // The header is cut off; the decoder will say so.
    if (error instanceof RangeError) return 0;
    throw error;
  }
}

/** Start-of-frame markers of progressive pictures. */
const progressive = [0xc2, 0xc6, 0xca, 0xce];
/** Markers from 0xc0 to 0xcf that begin no frame. */
const noFrame = [0xc4, 0xc8, 0xcc];

function heldByJpeg(view: DataView): number {
  let at = 2;
  for (;;) {
    if (view.getUint8(at) !== 0xff) return 0;
    const marker = view.getUint8(at + 1);
    // Any number of these may fill the space before a marker.
    if (marker === 0xff) at += 1;
    else if (marker >= 0xc0 && marker <= 0xcf && !noFrame.includes(marker)) {
      const [height, width, components] = [view.getUint16(at + 5), view.getUint16(at + 7), view.getUint8(at + 9)];
      return progressive.includes(marker) ? width * height * components * 2 : 0;
    } else at += 2 + view.getUint16(at + 2);
  }
}

/** Samples of a pixel by colour type; those of a palette are looked up. */
const pngSamples: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 4, 4: 2, 6: 4 };

function heldByPng(view: DataView): number {
  const [width, height, depth] = [view.getUint32(16), view.getUint32(20), view.getUint8(24)];
  const samples = pngSamples[view.getUint8(25)] ?? 4;
  const interlaced = view.getUint8(28) !== 0;
  return interlaced ? width * height * samples * (depth > 8 ? 2 : 1) : 0;
}

function heldByWebp(view: DataView): number {
  const kind = String.fromCharCode(...[12, 13, 14, 15].map((at) => view.getUint8(at)));
  const [width, height] = webpSize(view, kind);
  return width * height * 4;
}

function webpSize(view: DataView, kind: string): [number, number] {
  const long = (at: number) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (kind === "VP8X") return [long(24) + 1, long(27) + 1];
  if (kind === "VP8 ") return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  if (kind !== "VP8L") return [0, 0];
  const bits = view.getUint32(21, true);
  return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
}
