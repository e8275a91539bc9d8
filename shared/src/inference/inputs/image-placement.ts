import { type ImagePreprocess, sizeRule } from "../../model/preprocess/image.js";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A rectangle, pixels. */
export interface Box extends Size {
  readonly left: number;
  readonly top: number;
}

/** Which part of the turned picture lies where in the tensor. */
export interface Placement {
  /** The turned picture. */
  readonly picture: Size;
  readonly tensor: Size;
  /** The part of the picture that is used. */
  readonly from: Box;
  /** Where it lies in the tensor: beyond its edges with a crop, within them with padding. */
  readonly to: Box;
}

/** Where a picture of a size comes to lie in its tensor. */
export function placeImage(spec: ImagePreprocess, picture: Size): Placement {
  const { resize, crop } = spec;
  const part = regionOf(spec, picture);
  const rule = sizeRule(resize);
  if (rule?.by === "fixed") {
    const from = resize.mode === "cover" ? shapedLike(rule, part) : part;
    const inner = resize.mode === "contain" ? containedIn(rule, part) : rule;
    const tensor = crop ?? { width: rule.width, height: rule.height };
    const share = resize.align === "start" && crop === undefined ? 0 : 0.5;
    // The spare room is negative where a crop cuts.
    const left = Math.floor((tensor.width - inner.width) * share);
    const top = Math.floor((tensor.height - inner.height) * share);
    return { picture, tensor, from, to: { left, top, width: inner.width, height: inner.height } };
  }
  const tensor = rule?.by === "height" ? sizeByHeight(rule, resize.multipleOf, part) : sizeByLimit(resize, part);
  return { picture, tensor, from: part, to: { left: 0, top: 0, ...tensor } };
}

/** The tensor's size for a picture nobody has seen yet. */
export function usualSize({ resize, crop }: ImagePreprocess): Size {
  const rule = sizeRule(resize);
  if (rule?.by === "fixed") return crop ?? { width: rule.width, height: rule.height };
  if (rule?.by === "height") {
    return sizeByHeight(rule, resize.multipleOf, { width: rule.height * 6, height: rule.height });
  }
  return sizeByLimit(resize, { width: 640, height: 640 });
}

/** A point of the tensor in pixels of the turned picture, kept within it. */
export function toPicture({ picture, from, to }: Placement, x: number, y: number): [number, number] {
  const px = from.left + ((x - to.left) * from.width) / to.width;
  const py = from.top + ((y - to.top) * from.height) / to.height;
  return [Math.min(picture.width, Math.max(0, px)), Math.min(picture.height, Math.max(0, py))];
}

function regionOf({ region }: ImagePreprocess, { width, height }: Size): Box {
  if (region === undefined) return { left: 0, top: 0, width, height };
  const left = Math.min(width - 1, Math.round(region.left * width));
  const top = Math.min(height - 1, Math.round(region.top * height));
  return {
    left,
    top,
    width: clamp(Math.round(region.width * width), 1, width - left),
    height: clamp(Math.round(region.height * height), 1, height - top),
  };
}

/** The middle of a part that has the ratio of a size. */
function shapedLike({ width, height }: Size, part: Box): Box {
  const scale = Math.min(part.width / width, part.height / height);
  const size = {
    width: clamp(Math.round(width * scale), 1, part.width),
    height: clamp(Math.round(height * scale), 1, part.height),
  };
  const left = part.left + Math.floor((part.width - size.width) / 2);
  return { left, top: part.top + Math.floor((part.height - size.height) / 2), ...size };
}

function containedIn({ width, height }: Size, part: Size): Size {
  const scale = Math.min(width / part.width, height / part.height);
  return {
    width: clamp(Math.round(part.width * scale), 1, width),
    height: clamp(Math.round(part.height * scale), 1, height),
  };
}

function sizeByHeight(
  { height, maxWidth }: { readonly height: number; readonly maxWidth: number },
  multipleOf: number,
  part: Size,
): Size {
  const most = Math.max(multipleOf, Math.floor(maxWidth / multipleOf) * multipleOf);
  const wanted = Math.ceil((part.width * height) / part.height / multipleOf) * multipleOf;
  return { width: clamp(wanted, multipleOf, most), height };
}

/** Never larger than the picture, but for rounding: a detector sees no more in an enlarged one. */
function sizeByLimit({ maxSide = 1, multipleOf }: ImagePreprocess["resize"], part: Size): Size {
  const scale = Math.min(1, maxSide / Math.max(part.width, part.height));
  const most = Math.max(multipleOf, Math.floor(maxSide / multipleOf) * multipleOf);
  const side = (pixels: number) => clamp(Math.round((pixels * scale) / multipleOf) * multipleOf, multipleOf, most);
  return { width: side(part.width), height: side(part.height) };
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
