import { blobsOf, type Manifest, type ManifestVariant, MusterError, type Wanted } from "@muster/shared";
import type { BlobShelf } from "./ports.js";
import { shelvedManifest } from "./shelved.js";
import { type Candidate, type Installed, type ModelState, withFinished } from "./state.js";

/** Every blob that the model's state still needs, besides the blobs its manifests name. */
export async function neededBlobs(state: ModelState, shelf: BlobShelf): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const { deltas = [] } of state.candidate?.hints ?? []) {
    for (const { delta } of deltas) needed.add(delta.sha256).add(delta.index.sha256);
  }
  const manifests = [state.committed?.manifest, state.previous?.manifest, state.candidate?.manifest.sha256];
  for (const digest of manifests.filter((entry) => entry !== undefined)) {
    needed.add(digest);
    if (!(await shelf.has(digest))) continue;
    const manifest = await shelvedManifest(shelf, digest).catch((error) => {
      // One that was changed on the disk names nothing that is worth keeping. Whatever else fails must not cost a model.
      if (error instanceof MusterError && error.code === "artifact/digest-mismatch") return undefined;
      throw error;
    });
    for (const { sha256 } of manifest === undefined ? [] : blobsOf(manifest)) needed.add(sha256);
  }
  return needed;
}

/** What is wanted, as a candidate nothing was done for yet. */
export function offered({ attempt, version, manifest, probationMs, keys, hints }: Wanted, nowMs: number): Candidate {
  return {
    ...{ attempt, version, manifest, probationMs },
    ...{ phase: "offered", phaseSinceMs: nowMs, trialStarts: 0 },
    ...(keys === undefined ? {} : { wrappedKeys: keys }),
    ...(hints === undefined ? {} : { hints }),
  };
}

/** The state in which the candidate has become the committed version, and that one the way back. */
export function commit(state: ModelState, nowMs: number): ModelState {
  const installed = installedOf(candidateOf(state));
  const { candidate: _, committed, ...rest } = state;
  const { attempt, version, manifest } = installed;
  const next: ModelState = {
    ...rest,
    releaseFloor: Math.max(state.releaseFloor, installed.release),
    committed: installed,
    ...(committed === undefined ? {} : { previous: committed }),
  };
  return withFinished(next, { attempt, version, manifest, outcome: "committed", atMs: nowMs });
}

/** The candidate of a step that needs one. */
export function candidateOf({ candidate }: ModelState): Candidate {
  if (candidate === undefined) throw new MusterError("internal", "a step needs a candidate, and there is none");
  return candidate;
}

/** The state with its candidate changed. */
export function withCandidate(state: ModelState, change: (candidate: Candidate) => Candidate): ModelState {
  return { ...state, candidate: change(candidateOf(state)) };
}

/** The variant that was chosen for a version. */
export function variantOf(manifest: Manifest, { variant }: Pick<Candidate, "variant">): ManifestVariant {
  const found = manifest.variants.find(({ name }) => name === variant);
  if (found === undefined) throw new MusterError("internal", `manifest has no variant ${variant}`);
  return found;
}

/** The candidate as an installed version, once its trial has filled in all that takes. */
export function installedOf(candidate: Candidate): Installed {
  const { attempt, version, release, manifest, variant, artifact, provider, threads } = candidate;
  if (
    release === undefined ||
    variant === undefined ||
    artifact === undefined ||
    provider === undefined ||
    threads === undefined
  ) {
    throw new MusterError("internal", `candidate ${version} is not proven yet`);
  }
  const wrappedKey = wrappedKeyOf(candidate);
  const key = wrappedKey === undefined ? {} : { wrappedKey };
  const signed = { manifest: manifest.sha256, manifestBytes: manifest.sizeBytes };
  return { attempt, version, release, ...signed, variant, artifact, provider, threads, ...key };
}

/** The wrapped key of the candidate's artifact; undefined for a plain one. */
export function wrappedKeyOf({ artifact, wrappedKeys }: Candidate): string | undefined {
  return wrappedKeys?.find((entry) => entry.artifact === artifact)?.wrapped;
}
