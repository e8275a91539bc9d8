import { z } from "zod";

/** How an image becomes a tensor. The steps run in the order of the fields. */
export const ImagePreprocess = z.strictObject({
  /** What the input bytes are; JPEG, PNG and WebP are recognised by their content. */
  decode: z.literal("image").default("image"),
  /** Turn the picture as its EXIF orientation says. */
  exifTurn: z.boolean().default(true),
  resize: z.strictObject({
    /** Pixels. */
    width: z.int().min(1).max(8192),
    /** Pixels. */
    height: z.int().min(1).max(8192),
    /** `fill` stretches, `contain` keeps the ratio and pads with black, `cover` keeps the ratio and cuts. */
    mode: z.enum(["fill", "contain", "cover"]).default("fill"),
  }),
  colour: z.enum(["rgb", "bgr"]).default("rgb"),
  layout: z.enum(["nchw", "nhwc"]).default("nchw"),
  /** Each value v of 0..255 becomes (v × scale − mean[channel]) / std[channel]; channels in the order of `colour`. */
  scale: z
    .number()
    .positive()
    .default(1 / 255),
  mean: z.array(z.number()).length(3, "needs one number per channel, three in all").default([0, 0, 0]),
  std: z.array(z.number().positive()).length(3, "needs one number per channel, three in all").default([1, 1, 1]),
  dtype: z.literal("float32").default("float32"),
});
export type ImagePreprocess = z.infer<typeof ImagePreprocess>;

/** How an output tensor `[n, classes]` becomes a label. */
export const ClassificationPostprocess = z.strictObject({
  /** One name per class, in the order of the model's output. */
  labels: z.array(z.string().min(1).max(200)).min(2, "needs at least two labels").max(100_000),
  /** Apply softmax: true when the model gives logits, false when it gives probabilities already. */
  softmax: z.boolean().default(false),
  /** How many of the best classes an answer lists. */
  topK: z.int().min(1).max(100).default(1),
});
export type ClassificationPostprocess = z.infer<typeof ClassificationPostprocess>;

/** The type of a tensor's numbers, as ONNX Runtime names it. */
export const DataType = z.enum([
  ...["float32", "float16", "float64", "uint8", "int8", "uint16", "int16"],
  ...["uint32", "int32", "uint64", "int64", "bool"],
] as const);
export type DataType = z.infer<typeof DataType>;

const TensorSpec = z.strictObject({
  name: z.string().min(1),
  dtype: DataType,
  /** One entry per dimension: a size, or a name for one that is free, such as `n`. Empty for a scalar. */
  shape: z.array(z.union([z.int().min(1), z.string().min(1)])).max(8),
});
export type TensorSpec = z.infer<typeof TensorSpec>;

/** What goes into the model and what comes out. */
export const Tensors = z.strictObject({
  inputs: z.array(TensorSpec).min(1),
  outputs: z.array(TensorSpec).min(1),
});
export type Tensors = z.infer<typeof Tensors>;

/** The numeric precision a variant was built with. */
export const Precision = z.enum(["fp32", "fp16", "int8-qdq", "int8-weights"]);
export type Precision = z.infer<typeof Precision>;

/** What a version promises of itself; a trial on the device holds it to that. */
export const Budgets = z.strictObject({
  /** The 95th percentile of one input, from bytes to answer. */
  p95LatencyMs: z.number().positive().optional(),
  /** Resident memory of the process that runs the model. */
  memoryMb: z.number().positive().optional(),
});
export type Budgets = z.infer<typeof Budgets>;

/** What a device has to be so that it is offered a version at all. */
export const Requirements = z.strictObject({
  /** The oldest agent that can run it. */
  agent: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, "must be a version such as 0.2.0")
    .optional(),
  /** Processor architectures as Node.js names them: `arm64`, `x64` … */
  arch: z.array(z.string().min(1)).min(1).optional(),
});
export type Requirements = z.infer<typeof Requirements>;
