import { z } from "zod";
import type { Problem } from "../../errors.js";
import { fits, type Tensors } from "../tensors.js";

const pixels = z.int().min(1).max(8192);
const share = z.number().min(0).max(1);
const perChannel = "needs one number per channel, three in all";

/** How an image becomes a tensor. The steps run in the order of the fields. */
export const ImagePreprocess = z.strictObject({
  /** What the input bytes are; JPEG, PNG and WebP are recognised by their content. */
  decode: z.literal("image").default("image"),
  /** Turn the picture as its EXIF orientation says. */
  exifTurn: z.boolean().default(true),
  /** The part of the turned picture that is looked at, as shares of its width and height. */
  region: z.strictObject({ left: share, top: share, width: share.gt(0), height: share.gt(0) }).optional(),
  /**
   * Pixels. Either `width` and `height`; or `height` and `maxWidth`, the width following the picture; or `maxSide`, both
   * following the picture.
   */
  resize: z.strictObject({
    width: pixels.optional(),
    height: pixels.optional(),
    maxWidth: pixels.optional(),
    maxSide: pixels.optional(),
    /** What a side that follows the picture is rounded to. */
    multipleOf: z.int().min(1).max(1024).default(1),
    /** With width and height: `fill` stretches, `contain` keeps the ratio and pads, `cover` keeps the ratio and cuts. */
    mode: z.enum(["fill", "contain", "cover"]).default("fill"),
    /** The colour of the padding: red, green, blue. */
    pad: z.array(z.int().min(0).max(255)).length(3).default([0, 0, 0]),
    /** Where `contain` puts the picture: in the middle, or at the left and top. */
    align: z.enum(["centre", "start"]).default("centre"),
    /** How pixels between pixels are made. */
    kernel: z.enum(["lanczos3", "cubic", "linear", "nearest"]).default("lanczos3"),
  }),
  /** The middle of the resized picture that is kept, pixels. */
  crop: z.strictObject({ width: pixels, height: pixels }).optional(),
  colour: z.enum(["rgb", "bgr", "gray"]).default("rgb"),
  layout: z.enum(["nchw", "nhwc"]).default("nchw"),
  /** Each value v of 0..255 becomes (v × scale − mean[channel]) / std[channel]; channels in the order of `colour`. */
  scale: z
    .number()
    .positive()
    .default(1 / 255),
  mean: z.array(z.number()).length(3, perChannel).default([0, 0, 0]),
  std: z.array(z.number().positive()).length(3, perChannel).default([1, 1, 1]),
  /** Whole numbers are rounded and kept within the range of the type. */
  dtype: z.enum(["float32", "float16", "uint8", "int8"]).default("float32"),
});
export type ImagePreprocess = z.infer<typeof ImagePreprocess>;

/** How the size of the tensor follows from the spec; undefined when the fields of `resize` contradict each other. */
export type SizeRule =
  | { readonly by: "fixed"; readonly width: number; readonly height: number }
  | { readonly by: "height"; readonly height: number; readonly maxWidth: number }
  | { readonly by: "limit"; readonly maxSide: number };

/** What `resize` asks for, before any crop. */
export function sizeRule({ width, height, maxWidth, maxSide }: ImagePreprocess["resize"]): SizeRule | undefined {
  const given = (...fields: (number | undefined)[]) => fields.every((field) => field !== undefined);
  if (given(width, height) && !given(maxWidth) && !given(maxSide)) {
    return { by: "fixed", width: width ?? 1, height: height ?? 1 };
  }
  if (given(height, maxWidth) && !given(width) && !given(maxSide)) {
    return { by: "height", height: height ?? 1, maxWidth: maxWidth ?? 1 };
  }
  const onlySide = given(maxSide) && !given(width) && !given(height) && !given(maxWidth);
  return onlySide ? { by: "limit", maxSide: maxSide ?? 1 } : undefined;
}

/** Where a picture's tensor does not fit the model's input. */
export function imageProblems(spec: ImagePreprocess, { inputs }: Tensors): Problem[] {
  const [input] = inputs;
  if (inputs.length !== 1 || input === undefined) {
    return [{ field: "tensors.inputs", message: "a model of pictures has exactly one input" }];
  }
  const rule = sizeRule(spec.resize);
  if (rule === undefined) {
    const message = "give width and height, or height and maxWidth, or maxSide, and none of the others";
    return [{ field: "preprocess.resize", message }];
  }
  const problems = cropProblems(spec, rule);
  const wanted = imageDimensions(spec, rule);
  if (!fits(input.shape, ["n", ...wanted])) {
    const message = `is [${input.shape.join(", ")}], but preprocess makes [n, ${wanted.join(", ")}]; change one of them`;
    problems.push({ field: "tensors.inputs[0].shape", message });
  } else if (wanted.some((size, at) => typeof size === "string" && typeof input.shape[at + 1] === "number")) {
    const message = `is [${input.shape.join(", ")}], but the size follows the picture; give resize.width and resize.height`;
    problems.push({ field: "tensors.inputs[0].shape", message });
  }
  if (input.dtype !== spec.dtype) {
    const message = `is ${input.dtype}, but preprocess.dtype is ${spec.dtype}`;
    problems.push({ field: "tensors.inputs[0].dtype", message });
  }
  return problems;
}

function imageDimensions({ layout, colour, crop }: ImagePreprocess, rule: SizeRule): (number | string)[] {
  const channels = colour === "gray" ? 1 : 3;
  const height = crop?.height ?? (rule.by === "limit" ? "h" : rule.height);
  const width = crop?.width ?? (rule.by === "fixed" ? rule.width : "w");
  return layout === "nchw" ? [channels, height, width] : [height, width, channels];
}

function cropProblems({ crop, region, resize }: ImagePreprocess, rule: SizeRule): Problem[] {
  const problems: Problem[] = [];
  if (region !== undefined && (region.left + region.width > 1 || region.top + region.height > 1)) {
    problems.push({
      field: "preprocess.region",
      message: "reaches beyond the picture; left + width and top + height are at most 1",
    });
  }
  if (resize.mode !== "fill" && rule.by !== "fixed") {
    problems.push({
      field: "preprocess.resize.mode",
      message: "goes with resize.width and resize.height; the ratio is kept anyway",
    });
  }
  if (crop === undefined) return problems;
  if (rule.by !== "fixed") {
    problems.push({ field: "preprocess.crop", message: "needs resize.width and resize.height" });
  } else if (resize.mode === "contain") {
    problems.push({ field: "preprocess.crop", message: "goes with resize.mode fill or cover" });
  } else if (crop.width > rule.width || crop.height > rule.height) {
    problems.push({
      field: "preprocess.crop",
      message: `is larger than the resized picture, ${rule.width}×${rule.height}`,
    });
  }
  return problems;
}
