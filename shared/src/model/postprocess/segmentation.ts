import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { ClassLabels, labelsFile, twoOrMore } from "./classification.js";
import { outputProblems, unknownLabel } from "./output.js";

/** How an output becomes a class for every pixel. */
export const SegmentationPostprocess = z.strictObject({
  /**
   * `best-class`: `[n, classes, h, w]` or `[n, h, w, classes]`, the highest wins.
   * `threshold`: one map `[n, 1, h, w]`, `[n, h, w, 1]` or `[n, h, w]`; the first label below the threshold, the second from it on.
   * `classes`: `[n, h, w]` or `[n, 1, h, w]`, the number of the class itself.
   */
  format: z.enum(["best-class", "threshold", "classes"]).default("best-class"),
  /** One name per class, in the order of the model's output; with `threshold` two. */
  labels: ClassLabels.max(255, "at most 255 classes of pixels")
    .refine(twoOrMore, "needs at least two labels")
    .default([]),
  labelsFile,
  layout: z.enum(["nchw", "nhwc"]).default("nchw"),
  /** Apply the logistic function first: true when a `threshold` map holds logits. */
  sigmoid: z.boolean().default(false),
  threshold: z.number().min(0).max(1).default(0.5),
  output: TensorName.optional(),
});
export type SegmentationPostprocess = z.infer<typeof SegmentationPostprocess>;

/** A class for every pixel, row by row: `runs` is class, length, class, length … and fills width × height. */
export const Mask = z.strictObject({
  width: z.int().min(1).max(8192),
  height: z.int().min(1).max(8192),
  runs: z.array(z.int().min(0)).max(2_000_000),
});
export type Mask = z.infer<typeof Mask>;

/** What a segmentation's self-test sample expects: shares of the picture per class, a mask, or both. */
export const maskExpectation = {
  shares: z.record(z.string(), z.number().min(0).max(1)).optional(),
  mask: Mask.optional(),
};
export type MaskExpectation = z.infer<z.ZodObject<typeof maskExpectation>>;

/** Where the output does not fit the labels, or a sample expects nothing or what there is not. */
export function segmentationProblems(
  { format, labels, layout, output }: SegmentationPostprocess,
  tensors: Tensors,
  samples: readonly MaskExpectation[],
): Problem[] {
  const shapes = {
    "best-class": layout === "nchw" ? [["n", labels.length, "h", "w"]] : [["n", "h", "w", labels.length]],
    threshold: [["n", "h", "w"], layout === "nchw" ? ["n", 1, "h", "w"] : ["n", "h", "w", 1]],
    classes: [
      ["n", "h", "w"],
      ["n", 1, "h", "w"],
    ],
  };
  const problems = outputProblems(tensors, output, shapes[format]);
  if (format === "threshold" && labels.length !== 2) {
    problems.push({
      field: "postprocess.labels",
      message: "needs two labels for a threshold: below it, and from it on",
    });
  }
  for (const [at, { shares, mask }] of samples.entries()) {
    const field = `selfTest.samples[${at}].expect`;
    if (shares === undefined && mask === undefined) problems.push({ field, message: "needs shares or a mask" });
    for (const label of Object.keys(shares ?? {}))
      problems.push(...unknownLabel(`${field}.shares.${label}`, label, labels));
    const length = mask?.runs.reduce((sum, number, i) => (i % 2 === 1 ? sum + number : sum), 0) ?? 0;
    if (mask !== undefined && (mask.runs.length % 2 === 1 || length !== mask.width * mask.height)) {
      problems.push({ field: `${field}.mask.runs`, message: `fills ${length} of ${mask.width * mask.height} pixels` });
    }
  }
  return problems;
}
