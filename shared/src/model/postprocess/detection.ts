import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { ClassLabels, labelsFile } from "./classification.js";
import { outputProblems, unknownLabel } from "./output.js";

/** How outputs become objects with boxes. */
export const DetectionPostprocess = z.strictObject({
  /**
   * `yolo-v8`: `[n, 4 + classes, anchors]` or `[n, anchors, 4 + classes]`, centre and size in pixels of the tensor, class scores.
   * `yolo-v5`: `[n, anchors, 5 + classes]`, as above with an objectness before the class scores.
   * `yolox`: `[n, anchors, 5 + classes]`, as yolo-v5, but centres in cells of a grid per stride and logarithms of sizes.
   * `end-to-end`: `[n, found, 6]`, left, top, right, bottom in pixels of the tensor, score, class; or `[found, 7]`, number of
   * the picture, left, top, right, bottom, class, score. There are no boxes to suppress.
   * `ssd`: one output each for boxes `[n, found, 4]`, scores `[n, found]` and classes `[n, found]`, or without
   * classes scores `[n, found, classes]`; of a model of one picture all without `n`.
   */
  format: z.enum(["yolo-v8", "yolo-v5", "yolox", "end-to-end", "ssd"]),
  /** One name per class, in the order of the model's output. */
  labels: ClassLabels.default([]),
  labelsFile,
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
  /** For `yolox`: pixels of the tensor per cell, grid by grid in the order of the output. */
  strides: z.array(z.int().min(1).max(1024)).min(1).max(8).default([8, 16, 32]),
  /** For `ssd`. */
  ssd: z
    .strictObject({
      boxes: TensorName,
      scores: TensorName,
      classes: TensorName.optional(),
      /** What a box's four numbers are; `centre-size`: centre x, centre y, width, height. */
      order: z.enum(["left-top-right-bottom", "top-left-bottom-right", "centre-size"]).default("left-top-right-bottom"),
      /** Boxes are shares 0..1 of the tensor's sides, not pixels. */
      relative: z.boolean().default(true),
      /** The number of the first label's class; classes below it, such as a background 0, are left out. */
      firstClass: z.int().min(0).max(1000).default(0),
      /** Without an output of classes: the scores have one more at the end, for no object. */
      noObject: z.boolean().default(false),
      /** What makes scores 0..1 of the output; `softmax` goes over all classes of a box. */
      activation: z.enum(["none", "sigmoid", "softmax"]).default("none"),
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

function formatProblems(spec: DetectionPostprocess, tensors: Tensors): Problem[] {
  const { format, labels, output } = spec;
  const count = labels.length;
  switch (format) {
    case "yolo-v8":
      return outputProblems(tensors, output, [
        ["n", 4 + count, "anchors"],
        ["n", "anchors", 4 + count],
      ]);
    case "yolo-v5":
      return outputProblems(tensors, output, [["n", "anchors", 5 + count]]);
    case "yolox":
      return outputProblems(tensors, output, [["n", gridCells(spec.strides, tensors) ?? "anchors", 5 + count]]);
    case "end-to-end":
      return outputProblems(tensors, output, [
        ["n", "found", 6],
        ["found", 7],
      ]);
    case "ssd":
      return ssdProblems(spec, tensors);
  }
}

/** How many cells the grids of a tensor have; undefined when its size is free. */
function gridCells(strides: readonly number[], { inputs }: Tensors): number | undefined {
  const { width, height } = pictureSides(inputs[0]?.shape ?? []);
  return Number.isNaN(width * height) ? undefined : cellsOf(strides, width, height);
}

/** The cells of all grids over a tensor. */
export function cellsOf(strides: readonly number[], width: number, height: number): number {
  return strides.reduce((sum, stride) => sum + Math.floor(width / stride) * Math.floor(height / stride), 0);
}

/** Width and height of a tensor of pictures, `[n, c, h, w]` or `[n, h, w, c]`; NaN where they are free. */
export function pictureSides(shape: readonly (number | string)[]): { width: number; height: number } {
  const sides = shape.slice(1).filter((size) => size !== 3 && size !== 1);
  const [height = Number.NaN, width = Number.NaN] = sides.map(Number);
  return { width, height };
}

function ssdProblems({ labels, ssd }: DetectionPostprocess, tensors: Tensors): Problem[] {
  if (ssd === undefined) {
    return [{ field: "postprocess.ssd", message: "is missing; name the outputs: boxes, scores and classes" }];
  }
  const perBox = (name: string, field: string, ...rest: number[]) =>
    outputProblems(
      tensors,
      name,
      [
        ["n", "found", ...rest],
        ["found", ...rest],
      ],
      `postprocess.ssd.${field}`,
    );
  const boxes = perBox(ssd.boxes, "boxes", 4);
  if (ssd.classes === undefined) {
    const count = labels.length + ssd.firstClass + (ssd.noObject ? 1 : 0);
    return [...boxes, ...perBox(ssd.scores, "scores", count)];
  }
  const problems = [...boxes, ...perBox(ssd.scores, "scores"), ...perBox(ssd.classes, "classes")];
  if (ssd.activation === "softmax" || ssd.noObject) {
    const field = ssd.noObject ? "noObject" : "activation";
    const message = "goes with scores per class; the output of classes says the class already";
    problems.push({ field: `postprocess.ssd.${field}`, message });
  }
  return problems;
}
