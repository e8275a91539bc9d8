import { z } from "zod";
import type { Problem } from "../../errors.js";
import type { Tensors } from "../tensors.js";
import { AudioPreprocess, audioProblems } from "./audio.js";
import { ImagePreprocess, imageProblems } from "./image.js";
import { TablePreprocess, tableProblems } from "./table.js";
import { TensorsPreprocess } from "./tensors.js";

/** Every kind of input, for tasks that take any. */
export const AnyPreprocess = z.discriminatedUnion(
  "decode",
  [ImagePreprocess.extend({ decode: z.literal("image") }), TablePreprocess, AudioPreprocess, TensorsPreprocess],
  { error: "must say what the inputs are: decode: image, table, audio or tensors" },
);
export type AnyPreprocess = z.infer<typeof AnyPreprocess>;

/** Where what is made of an input does not fit the model. */
export function preprocessProblems(spec: AnyPreprocess, tensors: Tensors): Problem[] {
  switch (spec.decode) {
    case "image":
      return imageProblems(spec, tensors);
    case "table":
      return tableProblems(spec, tensors);
    case "audio":
      return audioProblems(spec, tensors);
    case "tensors":
      return [];
  }
}
