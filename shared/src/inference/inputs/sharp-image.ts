import sharp, { type Sharp } from "sharp";
import { MusterError, messageOf } from "../../errors.js";
import type { ImagePreprocess } from "../../model/preprocess/image.js";
import { type Placement, placeImage, type Size } from "./image-placement.js";
import { heldBytes } from "./picture-cost.js";

/** A decoded picture: rows of RGB bytes, `[height, width, 3]`. */
export interface Pixels {
  /** In memory of its own. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

/** What a hostile picture may cost at most. */
export interface ImageLimits {
  readonly maxBytes: number;
  readonly maxPixels: number;
  /** Bytes that the decoder of a picture holds as a whole; several are decoded at a time. */
  readonly maxHeldBytes: number;
}

// No picture comes twice; to remember what was done for the last hundred costs a tenth of the time of a small one.
sharp.cache(false);

/** The media types of the pictures that are taken. */
export const imageTypes: readonly string[] = ["image/jpeg", "image/png", "image/webp"];

export const defaultImageLimits: ImageLimits = {
  maxBytes: 20_000_000,
  maxPixels: 50_000_000,
  maxHeldBytes: 128_000_000,
};

/** A decoded picture; `placement` says where it lies in the tensor, and is there when that was asked for or needed. */
export interface PlacedPixels extends Pixels {
  readonly placement?: Placement;
}

/**
 * Decodes a JPEG, PNG or WebP and resizes it as the pipeline says. The work is done in libvips'
 * threads. With `placed` the placement is always told. Throws `image/invalid` or `image/too-large`.
 */
export async function decodeImage(
  bytes: Uint8Array,
  spec: ImagePreprocess,
  limits: ImageLimits = defaultImageLimits,
  placed = false,
): Promise<PlacedPixels> {
  if (bytes.length > limits.maxBytes) {
    throw new MusterError("image/too-large", `image has ${bytes.length} bytes, at most ${limits.maxBytes} are taken`);
  }
  if (!isKnownFormat(bytes)) {
    throw new MusterError("image/invalid", "the bytes are no JPEG, PNG or WebP image; send one of these");
  }
  const held = heldBytes(bytes);
  if (held > limits.maxHeldBytes) {
    const message = `image takes ${held} bytes to decode, at most ${limits.maxHeldBytes} are given`;
    throw new MusterError(
      "image/too-large",
      `${message}; send it smaller, or neither progressive, interlaced nor WebP`,
    );
  }
  try {
    const image = sharp(bytes, {
      limitInputPixels: limits.maxPixels,
      failOn: "error",
      animated: false,
      sequentialRead: true,
    });
    const placement = placed || !stretchesAll(spec) ? placeImage(spec, await pictureSize(image, spec)) : undefined;
    const turned = spec.exifTurn ? image.autoOrient() : image;
    const flat = turned.flatten({ background: "black" }).toColourspace("srgb");
    const { data, info } = await resized(flat, spec, placement).raw().toBuffer({ resolveWithObject: true });
    const pixels = { data: threeChannels(data, info.channels), width: info.width, height: info.height };
    return placement === undefined ? pixels : { ...pixels, placement };
  } catch (cause) {
    const message = messageOf(cause);
    if (/pixel limit/i.test(message)) {
      throw new MusterError("image/too-large", `image has more than the ${limits.maxPixels} pixels that are taken`, {
        cause,
      });
    }
    throw new MusterError("image/invalid", `image cannot be decoded: ${message}`, { cause });
  }
}

/** Whether the size of the picture does not matter: then its header is not read on its own. */
function stretchesAll({ resize, region, crop }: ImagePreprocess): boolean {
  return resize.mode === "fill" && resize.width !== undefined && region === undefined && crop === undefined;
}

/** The size of the picture as it is seen. */
async function pictureSize(image: Sharp, { exifTurn }: ImagePreprocess): Promise<Size> {
  const { width, height, autoOrient } = await image.metadata();
  return exifTurn ? autoOrient : { width, height };
}

function resized(image: Sharp, { resize }: ImagePreprocess, placement: Placement | undefined): Sharp {
  const options = { fit: "fill", kernel: resize.kernel, fastShrinkOnLoad: true } as const;
  if (placement === undefined) return image.resize(resize.width, resize.height, options);
  const { picture, from, to, tensor } = placement;
  const whole = from.width === picture.width && from.height === picture.height;
  const scaled = (whole ? image : image.extract(from)).resize(to.width, to.height, options);
  if (to.left < 0 || to.top < 0) return scaled.extract({ left: -to.left, top: -to.top, ...tensor });
  const right = tensor.width - to.width - to.left;
  const bottom = tensor.height - to.height - to.top;
  if (to.left + to.top + right + bottom === 0) return scaled;
  const [r = 0, g = 0, b = 0] = resize.pad;
  return scaled.extend({ left: to.left, top: to.top, right, bottom, background: { r, g, b } });
}

/** libvips could read far more (SVG, PDF, …); what a camera does not send is not worth its risk. */
function isKnownFormat(bytes: Uint8Array): boolean {
  const starts = (at: number, ...head: number[]) => head.every((byte, i) => bytes[at + i] === byte);
  const jpeg = starts(0, 0xff, 0xd8, 0xff);
  const png = starts(0, 0x89, 0x50, 0x4e, 0x47);
  const webp = starts(0, 0x52, 0x49, 0x46, 0x46) && starts(8, 0x57, 0x45, 0x42, 0x50);
  return jpeg || png || webp;
}

function threeChannels(data: Uint8Array, channels: number): Uint8Array<ArrayBuffer> {
  // libvips owns the bytes, and what a library owns cannot be handed to another thread.
  if (channels === 3) return new Uint8Array(data);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let from = 0, to = 0; from < data.length; from += channels, to += 3) {
    for (let c = 0; c < 3; c += 1) rgb[to + c] = data[from + Math.min(c, channels - 1)] ?? 0;
  }
  return rgb;
}
