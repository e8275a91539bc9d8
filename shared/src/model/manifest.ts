import { z } from "zod";
import { Digest, ModelName, VersionName } from "../ids.js";
import { Feature } from "../stats/histogram.js";
import { Budgets, ClassificationPostprocess, ImagePreprocess, Precision, Requirements, Tensors } from "./pipeline.js";

/** Bytes named by what they are. */
export const BlobRef = z.object({
  sha256: Digest,
  sizeBytes: z.int().min(0),
});
export type BlobRef = z.infer<typeof BlobRef>;

/** An artifact and the index of its chunks, which lets a device check each chunk before it writes it. */
export const Artifact = BlobRef.extend({
  index: BlobRef,
  /** There when the bytes are encrypted: digest, size and index are of the ciphertext, these are of the model file. */
  encryption: z
    .object({ algorithm: z.literal("aes-256-gcm"), plainSha256: Digest, plainBytes: z.int().min(0) })
    .optional(),
});
export type Artifact = z.infer<typeof Artifact>;

const ManifestVariant = z.object({
  name: z.string().min(1),
  precision: Precision,
  artifact: Artifact,
});
export type ManifestVariant = z.infer<typeof ManifestVariant>;

const ManifestSample = z.object({
  input: BlobRef,
  label: z.string(),
  scores: z.array(z.number()).optional(),
});
export type ManifestSample = z.infer<typeof ManifestSample>;

/** The DSSE payload type of a manifest. */
export const manifestType = "application/vnd.muster.manifest.v1+json";

/** The signed description of a version: all a device needs to fetch, prove, run and watch it. */
export const Manifest = z.object({
  model: ModelName,
  version: VersionName,
  /** Rises by one with every version of the model; a device never goes below what it has committed. */
  release: z.int().min(1),
  createdMs: z.int(),
  task: z.literal("image-classification"),
  /** In order of preference. */
  variants: z.array(ManifestVariant).min(1),
  tensors: Tensors,
  preprocess: ImagePreprocess,
  postprocess: ClassificationPostprocess,
  selfTest: z.object({ tolerance: z.number(), samples: z.array(ManifestSample).min(1) }),
  budgets: Budgets,
  requires: Requirements.default({}),
  /** The reference distribution of every feature; empty when the bundle has no baseline. */
  baseline: z.record(z.string(), Feature),
  licence: z.string().optional(),
  metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
export type Manifest = z.infer<typeof Manifest>;

/** Every blob a device may ask for once it may have this version. */
export function blobsOf(manifest: Manifest): BlobRef[] {
  return [
    ...manifest.variants.flatMap(({ artifact }) => [artifact, artifact.index]),
    ...manifest.selfTest.samples.map(({ input }) => input),
  ];
}
