import { type BlobRef, type Manifest, type ManifestVariant, MusterError, type Wanted } from "@muster/shared";
import type { BlobShelf } from "./ports.js";
import { engineBlobs } from "./prebuilt-engines.js";
import { shelvedManifest } from "./shelved.js";
import { type AgentState, type Candidate, type Installed, type ModelState, withFinished } from "./state.js";

/** Every blob that some model needs now. */
export async function neededByModels({ models }: AgentState, shelf: BlobShelf): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const state of Object.values(models)) {
    for (const digest of await neededBlobs(state, shelf)) needed.add(digest);
  }
  return needed;
}

/** Deletes every blob that no model needs now. */
export async function keepNeeded(all: AgentState, shelf: BlobShelf): Promise<void> {
  const needed = await neededByModels(all, shelf);
  for (const [model, { candidate }] of Object.entries(all.models)) {
    // What is offered now may be on its way.
    const wanted = candidate === undefined ? undefined : all.desired?.models.find((entry) => entry.model === model);
    for (const digest of engineBlobs(wanted?.engines ?? [])) needed.add(digest);
  }
  await shelf.keepOnly(needed);
}

/** Deletes those of some blobs that no model needs now. */
export async function dropUnneeded(state: AgentState, digests: readonly string[], shelf: BlobShelf): Promise<void> {
  const needed = await neededByModels(state, shelf);
  for (const digest of digests) if (!needed.has(digest)) await shelf.remove(digest);
}

/** Every blob that the model's state still needs, besides the blobs its manifests name. */
export async function neededBlobs(state: ModelState, shelf: BlobShelf): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const { deltas = [] } of state.candidate?.hints ?? []) {
    for (const { delta } of deltas) needed.add(delta.sha256).add(delta.index.sha256);
  }
  for (const [digest, names] of versionsOf(state)) {
    needed.add(digest);
    if (!(await shelf.has(digest))) continue;
    const manifest = await shelvedManifest(shelf, digest).catch((error) => {
      // One that was changed on the disk names nothing that is worth keeping. Whatever else fails must not cost a model.
      if (error instanceof MusterError && error.code === "artifact/digest-mismatch") return undefined;
      throw error;
    });
    for (const { sha256 } of manifest === undefined ? [] : blobsOfVariants(manifest, names)) needed.add(sha256);
  }
  return needed;
}

/** The manifests the state names, and of which of their variants it still needs the files; undefined for all. */
function versionsOf({ committed, previous, candidate }: ModelState): [string, readonly string[] | undefined][] {
  const versions: [string, readonly string[] | undefined][] = [];
  for (const installed of [committed, previous]) {
    if (installed !== undefined) versions.push([installed.manifest, [installed.variant]]);
  }
  // While nothing is planned, what an attempt before this one has fetched may be of use.
  if (candidate !== undefined) versions.push([candidate.manifest.sha256, variantNames(candidate)]);
  return versions;
}

function blobsOfVariants(
  { variants, selfTest, files = [] }: Manifest,
  names: readonly string[] | undefined,
): BlobRef[] {
  return [
    ...variants
      .filter(({ name }) => names === undefined || names.includes(name))
      .flatMap(({ artifact }) => [artifact, artifact.index]),
    ...selfTest.samples.map(({ input }) => input),
    ...files,
  ];
}

/** The variants that a candidate fetches and tries; undefined before they are planned. */
function variantNames({ variants, variant }: Candidate): readonly string[] | undefined {
  return variants ?? (variant === undefined ? undefined : [variant]);
}

/** What is wanted, as a candidate nothing was done for yet. */
export function offered(
  { attempt, version, manifest, probationMs, shadow, keys, hints }: Wanted,
  nowMs: number,
): Candidate {
  return {
    ...{ attempt, version, manifest, probationMs },
    ...{ phase: "offered", phaseSinceMs: nowMs, trialStarts: 0 },
    ...(shadow === undefined ? {} : { shadow }),
    ...(keys === undefined ? {} : { wrappedKeys: keys }),
    ...(hints === undefined ? {} : { hints }),
  };
}

/** The state in which what is wanted is what runs here already. */
export function acknowledged(state: ModelState, { attempt, version, manifest }: Wanted, nowMs: number): ModelState {
  const { committed } = state;
  const known = committed === undefined ? state : { ...state, committed: { ...committed, attempt } };
  return withFinished(known, { attempt, version, manifest: manifest.sha256, outcome: "committed", atMs: nowMs });
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
export function variantOf(manifest: Manifest, variant: string): ManifestVariant {
  const found = manifest.variants.find(({ name }) => name === variant);
  if (found === undefined) throw new MusterError("internal", `manifest has no variant ${variant}`);
  return found;
}

/** The variants that a candidate fetches and tries, in order of promise. */
export function variantsOf(manifest: Manifest, candidate: Candidate): ManifestVariant[] {
  return (variantNames(candidate) ?? []).map((name) => variantOf(manifest, name));
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
  const wrappedKey = wrappedKeyOf(candidate, artifact);
  const key = wrappedKey === undefined ? {} : { wrappedKey };
  const signed = { manifest: manifest.sha256, manifestBytes: manifest.sizeBytes };
  return { attempt, version, release, ...signed, variant, artifact, provider, threads, ...key };
}

/** The wrapped key of one of the candidate's artifacts; undefined for a plain one. */
export function wrappedKeyOf({ wrappedKeys }: Candidate, artifact: string): string | undefined {
  return wrappedKeys?.find((entry) => entry.artifact === artifact)?.wrapped;
}
