import type { ImagePreprocess } from "../../model/preprocess/image.js";
import type { Tensors } from "../../model/tensors.js";
import type { DecodedInput } from "../decoded-input.js";
import type { InputSide } from "../pipeline.js";
import { imageFeatureNames, imageFeatures } from "./image-features.js";
import { usualSize } from "./image-placement.js";
import { imageShape, imageTensor } from "./image-tensor.js";
import { expectInput } from "./input-kind.js";
import { decodeImage, defaultImageLimits, imageTypes } from "./sharp-image.js";

/** Pictures as inputs. With `placed` the outputs can be mapped back to the picture. */
export function imageInput(spec: ImagePreprocess, { inputs }: Tensors, placed: boolean): InputSide {
  const name = inputs[0]?.name ?? "";
  return {
    accepts: imageTypes,
    states: [],
    // The picture library has threads of its own.
    decodesInPlace: false,
    featureKinds: Object.fromEntries(imageFeatureNames.map((feature) => [feature, "number"])),
    async decode(bytes) {
      const pixels = await decodeImage(bytes, spec, defaultImageLimits, placed);
      return { inputs: [{ kind: "image", ...pixels }], list: false };
    },
    toRuns(input, memory) {
      const pixels = expectInput(input, "image");
      return [[{ name, dtype: spec.dtype, shape: imageShape(spec, pixels), data: imageTensor(pixels, spec, memory) }]];
    },
    features: (input: DecodedInput) => imageFeatures(expectInput(input, "image")),
    blank() {
      const size = usualSize(spec);
      return { kind: "image", data: new Uint8Array(size.width * size.height * 3), ...size };
    },
  };
}
