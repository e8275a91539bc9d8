import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { ClassLabels } from "./classification.js";
import { outputProblems, unknownLabel } from "./output.js";

/** How outputs become objects with boxes. */
export const DetectionPostprocess = z.strictObject({
  /**
   * `yolo-v8`: `[n, 4 + classes, anchors]`, centre and size in pixels of the tensor, class scores.
   * `yolo-v5`: `[n, anchors, 5 + classes]`, as above with an objectness before the class scores.
   * `end-to-end`: `[n, found, 6]`, left, top, right, bottom in pixels of the tensor, score, class; no boxes to suppress.
   * `ssd`: one output each for boxes `[n, found, 4]`, scores `[n, found]` and classes `[n, found]`, or without
   * classes scores `[n, found, classes]`.
   */
  format: z.enum(["yolo-v8", "yolo-v5", "end-to-end", "ssd"]),
  /** One name per class, in the order of the model's output. */
  labels: ClassLabels.min(1, "needs at least one label"),
  /** Objects with less confidence are left out. */
  threshold: z.number().min(0).max(1).default(0.25),
  /** Of two boxes of a class that overlap by more than this share (intersection over union) the better one stays. */
  iouThreshold: z.number().min(0).max(1).default(0.45),
  /** Suppress overlapping boxes of different classes, too. */
  acrossClasses: z.boolean().default(false),
  /** The best so many objects are kept. */
  maxObjects: z.int().min(1).max(1000).default(100),
  /** The output of a YOLO or end-to-end model; the first one unless given. */
  output: TensorName.optional(),
  /** For `ssd`. */
  ssd: z
    .strictObject({
      boxes: TensorName,
      scores: TensorName,
      classes: TensorName.optional(),
      /** The order of a box's four numbers. */
      order: z.enum(["left-top-right-bottom", "top-left-bottom-right"]).default("left-top-right-bottom"),
      /** Boxes are shares 0..1 of the tensor's sides, not pixels. */
      relative: z.boolean().default(true),
      /** The number of the first label's class; classes below it, such as a background 0, are left out. */
      firstClass: z.int().min(0).max(1000).default(0),
    })
    .optional(),
});
export type DetectionPostprocess = z.infer<typeof DetectionPostprocess>;

/** A box in pixels of the turned picture: left, top, width, height. */
export const BoxNumbers = z.array(z.number()).length(4, "needs left, top, width and height");

/** How exact boxes and masks of a self-test have to be. */
export const overlapLimits = {
  /** How far a score may lie from the expected one. */
  tolerance: z.number().positive().max(1).default(0.1),
  /** Intersection over union of an expected box or mask and the one that was found, at least. */
  minIou: z.number().min(0.1).max(1).default(0.8),
};

/** What a detector's self-test sample expects: all its objects. */
export const objectsExpectation = {
  objects: z.array(z.strictObject({ label: z.string().min(1), box: BoxNumbers, confidence: z.number().optional() })),
};
export type ObjectsExpectation = z.infer<z.ZodObject<typeof objectsExpectation>>;

/** Where a detector's outputs do not fit its format, or the samples not its labels. */
export function detectionProblems(
  spec: DetectionPostprocess,
  tensors: Tensors,
  samples: readonly ObjectsExpectation[],
): Problem[] {
  const unknown = samples.flatMap(({ objects }, at) =>
    objects.flatMap(({ label }, i) =>
      unknownLabel(`selfTest.samples[${at}].expect.objects[${i}].label`, label, spec.labels),
    ),
  );
  return [...formatProblems(spec, tensors), ...unknown];
}

function formatProblems({ format, labels, output, ssd }: DetectionPostprocess, tensors: Tensors): Problem[] {
  const count = labels.length;
  if (format === "yolo-v8") return outputProblems(tensors, output, [["n", 4 + count, "anchors"]]);
  if (format === "yolo-v5") return outputProblems(tensors, output, [["n", "anchors", 5 + count]]);
  if (format === "end-to-end") return outputProblems(tensors, output, [["n", "found", 6]]);
  if (ssd === undefined) {
    return [{ field: "postprocess.ssd", message: "is missing; name the outputs: boxes, scores and classes" }];
  }
  const scores = ssd.classes === undefined ? ["n", "found", count + ssd.firstClass] : ["n", "found"];
  const classes =
    ssd.classes === undefined ? [] : outputProblems(tensors, ssd.classes, [["n", "found"]], "postprocess.ssd.classes");
  return [
    ...outputProblems(tensors, ssd.boxes, [["n", "found", 4]], "postprocess.ssd.boxes"),
    ...outputProblems(tensors, ssd.scores, [scores], "postprocess.ssd.scores"),
    ...classes,
  ];
}
