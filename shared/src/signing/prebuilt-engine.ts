import { z } from "zod";
import { MusterError } from "../errors.js";
import { DeviceId, Digest, sha256 } from "../ids.js";
import { Artifact } from "../model/manifest.js";
import type { Hardware } from "../protocol/hardware.js";
import { openDocument } from "./envelope.js";
import type { Root } from "./root.js";

/** The DSSE payload type of a prebuilt engine. */
export const prebuiltEngineType = "application/vnd.muster.prebuilt-engine.v1+json";

/** The name of a file that a provider keeps: no folder in it, and nothing hidden. */
export const EngineFileName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/);

/** At most so many files make an engine. */
export const maxEngineFiles = 16;

/**
 * What an execution provider built of a model file on one device, for other devices of the same class to use as it is. It runs
 * there in place of the model file, so the release role signs it as it signs models.
 */
export const PrebuiltEngine = z.object({
  /** The model file it was built of. */
  artifact: Digest,
  /** The devices it runs on, by their {@link engineClass}. */
  engineClass: Digest,
  /** The device that built it. */
  builtBy: DeviceId,
  createdMs: z.int(),
  files: z
    .array(z.object({ name: EngineFileName, artifact: Artifact.omit({ encryption: true }) }))
    .min(1)
    .max(maxEngineFiles)
    .refine((files) => new Set(files.map(({ name }) => name)).size === files.length, "a name is there twice"),
});
export type PrebuiltEngine = z.infer<typeof PrebuiltEngine>;

/**
 * Names the devices among which engines may be shared, as a digest: the same platform, GPUs, Jetson release and build of ONNX
 * Runtime. Undefined without a build, because then nothing tells whether another's engine would fit.
 */
export function engineClass({ platform, arch, gpus = [], jetson, onnxruntime }: Hardware): string | undefined {
  if (onnxruntime === undefined) return undefined;
  const names = gpus.map(({ name, memoryBytes }) => [name, memoryBytes]);
  const release = jetson === undefined ? [] : [jetson.module, jetson.l4t, jetson.jetpack];
  return sha256(JSON.stringify([platform, arch, names, release, onnxruntime.version, onnxruntime.build]));
}

/**
 * The prebuilt engine inside an envelope, once the release role has signed it and it is of this model file and for this class.
 * Throws `signature/invalid`.
 */
export function verifyPrebuiltEngine(
  envelope: unknown,
  root: Root,
  wanted: { readonly artifact: string; readonly engineClass: string },
): PrebuiltEngine {
  const what = `engine of ${wanted.artifact.slice(0, 12)}`;
  const engine = openDocument(PrebuiltEngine, envelope, prebuiltEngineType, root.roles.release, what);
  for (const field of ["artifact", "engineClass"] as const) {
    if (engine[field] === wanted[field]) continue;
    throw new MusterError("signature/invalid", `${what} has ${field} ${engine[field]}, expected ${wanted[field]}`);
  }
  return engine;
}
