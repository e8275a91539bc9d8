import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";
import { BoxNumbers } from "./detection.js";
import { outputProblems } from "./output.js";

/** How a map of probabilities `[n, 1, h, w]` becomes boxes around lines of text (DB: Liao et al., AAAI 2020). */
export const TextDetectionPostprocess = z.strictObject({
  /** A pixel with at least this probability belongs to a line. */
  threshold: z.number().min(0).max(1).default(0.3),
  /** Boxes with a lower mean probability are left out. */
  boxThreshold: z.number().min(0).max(1).default(0.6),
  /** The map shows lines shrunk; boxes grow by area × this / circumference on every side. */
  grow: z.number().min(0).max(5).default(1.5),
  /** Boxes with a shorter side than this, in pixels of the map, are left out. */
  minSide: z.number().min(0).max(1000).default(3),
  maxBoxes: z.int().min(1).max(2000).default(1000),
  output: TensorName.optional(),
});
export type TextDetectionPostprocess = z.infer<typeof TextDetectionPostprocess>;

/** What a text detector's self-test sample expects: upright boxes around all its lines. */
export const boxesExpectation = { boxes: z.array(BoxNumbers) };
export type BoxesExpectation = z.infer<z.ZodObject<typeof boxesExpectation>>;

/** Where the output is no map. */
export function textDetectionProblems({ output }: TextDetectionPostprocess, tensors: Tensors): Problem[] {
  return outputProblems(tensors, output, [["n", 1, "h", "w"]]);
}
