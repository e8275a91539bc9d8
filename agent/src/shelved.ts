import {
  type Artifact,
  Envelope,
  labelFileOf,
  Manifest,
  MusterError,
  parseLabelFile,
  sha256,
  withLabels,
} from "@muster/shared";
import type { BlobShelf } from "./ports.js";
import type { ModelState } from "./state.js";

/**
 * The manifest of a version that was accepted before. Its signature was verified then; here its digest is, so that what
 * was accepted goes on serving when its release key is retired later. Throws `artifact/digest-mismatch`,
 * `artifact/missing`.
 */
export async function shelvedManifest(shelf: BlobShelf, digest: string): Promise<Manifest> {
  const bytes = await shelf.read(digest);
  if (sha256(bytes) !== digest) {
    throw new MusterError("artifact/digest-mismatch", `the manifest ${digest} was changed on this device`);
  }
  const { payload } = Envelope.parse(JSON.parse(bytes.toString("utf8")));
  return Manifest.parse(JSON.parse(Buffer.from(payload, "base64").toString("utf8")));
}

/**
 * The manifest of a version that was accepted before, with what its pipeline reads from files. Throws like
 * {@link shelvedManifest}, also for these.
 */
export async function servedManifest(shelf: BlobShelf, digest: string): Promise<Manifest> {
  return withFiles(shelf, await shelvedManifest(shelf, digest));
}

/** A manifest with what its pipeline reads from files, which lie here. Throws `artifact/digest-mismatch`, `artifact/missing`. */
export async function withFiles(shelf: BlobShelf, manifest: Manifest): Promise<Manifest> {
  const path = labelFileOf(manifest);
  if (path === undefined) return manifest;
  const file = manifest.files?.find((one) => one.path === path);
  if (file === undefined) throw new MusterError("artifact/missing", `the manifest has no digest of '${path}'`);
  const bytes = await shelf.read(file.sha256);
  if (sha256(bytes) !== file.sha256) {
    throw new MusterError("artifact/digest-mismatch", `the file ${file.sha256} was changed on this device`);
  }
  return withLabels(manifest, parseLabelFile(bytes));
}

/** Artifacts of this model that lie here, the one in service last. */
export async function seedsOf({ committed, previous }: ModelState, shelf: BlobShelf): Promise<Artifact[]> {
  const seeds: Artifact[] = [];
  for (const installed of [previous, committed]) {
    if (installed === undefined) continue;
    // A manifest that is missing or damaged only costs the bytes it would have saved.
    const manifest = await shelvedManifest(shelf, installed.manifest).catch(() => undefined);
    const variant = manifest?.variants.find(({ artifact }) => artifact.sha256 === installed.artifact);
    if (variant !== undefined) seeds.push(variant.artifact);
  }
  return seeds;
}
