import { z } from "zod";
import { Digest, ModelName, VersionName } from "../ids.js";
import { Feature } from "../stats/histogram.js";
import { Batching } from "./batching.js";
import { Budgets, Precision, Requirements } from "./promises.js";
import { type TaskSchema, tasks } from "./tasks.js";
import { Tensors } from "./tensors.js";

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

/** The DSSE payload type of a manifest. */
export const manifestType = "application/vnd.muster.manifest.v1+json";

const common = {
  model: ModelName,
  version: VersionName,
  /** Rises by one with every version of the model; a device never goes below what it has committed. */
  release: z.int().min(1),
  createdMs: z.int(),
  /** In order of preference, where the hardware of a device does not decide. */
  variants: z.array(ManifestVariant).min(1),
  tensors: Tensors,
  budgets: Budgets,
  batching: Batching.optional(),
  requires: Requirements.default({}),
  /** The reference distribution of every feature; empty when the bundle has no baseline. */
  baseline: z.record(z.string(), Feature),
  licence: z.string().optional(),
  metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Files of the bundle that the pipeline reads, such as its labels, by the path that names them. */
  files: z.array(BlobRef.extend({ path: z.string().min(1) })).optional(),
};

function manifestOf<
  T extends string,
  Pre extends z.ZodType,
  Post extends z.ZodType,
  Expect extends z.ZodRawShape,
  Limits extends z.ZodRawShape,
>({ task, preprocess, postprocess, expectation, limits }: TaskSchema<T, Pre, Post, Expect, Limits>) {
  const samples = z.array(z.object({ input: BlobRef, ...expectation })).min(1);
  const selfTest = z.object({ ...limits, samples });
  return z.object({ task: z.literal(task), ...common, preprocess, postprocess, selfTest });
}

/** The signed description of a version: all a device needs to fetch, prove, run and watch it. */
export const Manifest = z.discriminatedUnion("task", [
  manifestOf(tasks.imageClassification),
  manifestOf(tasks.objectDetection),
  manifestOf(tasks.textDetection),
  manifestOf(tasks.textRecognition),
  manifestOf(tasks.segmentation),
  manifestOf(tasks.classification),
  manifestOf(tasks.regression),
  manifestOf(tasks.anomaly),
  manifestOf(tasks.audioEvents),
  manifestOf(tasks.raw),
]);
export type Manifest = z.infer<typeof Manifest>;
/** The manifest of one task. */
export type ManifestOf<T extends Manifest["task"]> = Extract<Manifest, { task: T }>;

/** Every blob a device may ask for once it may have this version. */
export function blobsOf(manifest: Manifest): BlobRef[] {
  return [
    ...manifest.variants.flatMap(({ artifact }) => [artifact, artifact.index]),
    ...manifest.selfTest.samples.map(({ input }) => input),
    ...(manifest.files ?? []),
  ];
}
