import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Artifact,
  type BlobStore,
  type Bundle,
  bundleWithLabels,
  encodeChunkIndex,
  invalid,
  labelFileOf,
  type Manifest,
  maxLabelFileBytes,
  newArtifactKey,
  type Problem,
  referencesOf,
  sealArtifact,
} from "@muster/shared";
import type { ArtifactKeys } from "./artifact-keys.js";
import { blobBytes, chunkUp, storeBytes } from "./chunking.js";
import type { InspectResult, ModelInspector } from "./ports.js";

export interface BundleIntakeDeps {
  readonly inspector: ModelInspector;
  /** What devices may fetch. */
  readonly artifacts: BlobStore;
  /** What clients have sent and no push has used yet. */
  readonly uploads: BlobStore;
  readonly keys: ArtifactKeys;
  /** Where files lie while they are looked at, by path; on the disk of the uploads, so that nothing is copied. */
  readonly workFolder: string;
  readonly maxArtifactBytes: number;
}

/** A manifest that has no release number yet. */
export type Unreleased = WithoutRelease<Manifest>;
type WithoutRelease<M> = M extends unknown ? Omit<M, "release" | "createdMs"> : never;

/** Makes a manifest out of a bundle: checks its files, opens its models, measures its baseline, cuts its artifacts. */
export class BundleIntake {
  readonly #deps: BundleIntakeDeps;

  constructor(deps: BundleIntakeDeps) {
    this.#deps = deps;
  }

  /** The digest of every file the bundle names. Throws `bundle/invalid` with all that are missing. */
  async usedFiles(bundle: Bundle, files: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const problems: Problem[] = [];
    const used: Record<string, string> = {};
    const use = async (field: string, path: string) => {
      const digest = files[path];
      if (digest === undefined) problems.push({ field, message: `the bundle has no file '${path}'` });
      else if ((await this.#deps.uploads.size(digest)) === undefined)
        problems.push({ field, message: `'${path}' was not uploaded; push again` });
      else used[path] = digest;
    };
    for (const [at, { file }] of bundle.variants.entries()) await use(`variants[${at}].file`, file);
    for (const [at, { file }] of bundle.selfTest.samples.entries()) await use(`selfTest.samples[${at}].file`, file);
    const labels = labelFileOf(bundle);
    if (labels !== undefined) await use("postprocess.labelsFile", labels);
    const wanted = referencesOf(bundle);
    const references = referenceFiles(bundle, files);
    if (wanted !== undefined) {
      for (const path of references) await use(wanted.field, path);
      if (references.length < wanted.least) {
        const kinds = wanted.endings.join(" ");
        const message = `'${wanted.folder}' holds ${references.length} files (${kinds}); at least ${wanted.least} are needed to compare with`;
        problems.push({ field: wanted.field, message });
      }
    }
    if (problems.length > 0) throw invalid("bundle/invalid", "the bundle", problems);
    return used;
  }

  /** Proves the bundle and stores what devices need of it. Throws `bundle/…`. */
  async take(
    bundle: Bundle,
    used: Readonly<Record<string, string>>,
    options: { readonly selfTest: boolean; readonly encrypt: boolean },
  ): Promise<Unreleased> {
    const { baseline } = await this.#inspect(await this.#labelled(bundle, used), used, options.selfTest);
    return this.#store(bundle, used, baseline, options.encrypt);
  }

  /** The bundle with the labels of its file. Throws `bundle/invalid`. */
  async #labelled(bundle: Bundle, used: Readonly<Record<string, string>>): Promise<Bundle> {
    const path = labelFileOf(bundle);
    if (path === undefined) return bundle;
    // One byte more than is taken tells a file that is too large.
    return bundleWithLabels(bundle, await this.#deps.uploads.read(used[path] ?? "", 0, maxLabelFileBytes + 1));
  }

  /** Forgets the uploads a version was made of. */
  async forget(used: Readonly<Record<string, string>>): Promise<void> {
    for (const digest of new Set(Object.values(used))) await this.#deps.uploads.delete(digest);
  }

  async #inspect(bundle: Bundle, used: Readonly<Record<string, string>>, selfTest: boolean): Promise<InspectResult> {
    const folder = await mkdtemp(join(this.#deps.workFolder, "push-"));
    try {
      const paths = new Map<string, string>();
      for (const [path, digest] of Object.entries(used)) {
        const copy = join(folder, `${paths.size}`);
        await this.#deps.uploads.toFile(digest, copy);
        paths.set(path, copy);
      }
      const copyOf = (path: string) => paths.get(path) ?? "";
      return await this.#deps.inspector.inspect({
        bundle,
        variants: Object.fromEntries(bundle.variants.map(({ name, file }) => [name, copyOf(file)])),
        samples: bundle.selfTest.samples.map(({ file }) => copyOf(file)),
        baseline: referenceFiles(bundle, used).map(copyOf),
        selfTest,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #store(
    bundle: Bundle,
    used: Readonly<Record<string, string>>,
    baseline: Manifest["baseline"],
    encrypt: boolean,
  ): Promise<Unreleased> {
    const variants: Manifest["variants"] = [];
    for (const { name, precision, file } of bundle.variants) {
      const digest = used[file] ?? "";
      const blob = encrypt ? await this.#keepEncrypted(digest) : await this.#keep(digest);
      const chunks = await chunkUp(blobBytes(this.#deps.artifacts, blob.sha256));
      const index = await storeBytes(this.#deps.artifacts, encodeChunkIndex(chunks));
      variants.push({ name, precision, artifact: { ...blob, index } });
    }
    const samples: object[] = [];
    for (const { file, expect } of bundle.selfTest.samples)
      samples.push({ input: await this.#keep(used[file] ?? ""), ...expect });
    const labels = labelFileOf(bundle);
    const manifest = {
      model: bundle.name,
      version: bundle.version,
      task: bundle.task,
      variants,
      tensors: bundle.tensors,
      preprocess: bundle.preprocess,
      postprocess: bundle.postprocess,
      selfTest: { ...bundle.selfTest, samples },
      budgets: bundle.budgets,
      ...(bundle.batching === undefined ? {} : { batching: bundle.batching }),
      requires: bundle.requires,
      baseline,
      ...(bundle.licence === undefined ? {} : { licence: bundle.licence }),
      metadata: bundle.metadata,
      ...(labels === undefined ? {} : { files: [{ path: labels, ...(await this.#keep(used[labels] ?? "")) }] }),
    };
    // A bundle of a task becomes a manifest of the same task, whichever it is.
    return manifest as Unreleased;
  }

  async #keep(digest: string): Promise<{ sha256: string; sizeBytes: number }> {
    const { artifacts, uploads, maxArtifactBytes } = this.#deps;
    const sizeBytes = await artifacts.write(digest, blobBytes(uploads, digest), maxArtifactBytes);
    return { sha256: digest, sizeBytes };
  }

  async #keepEncrypted(digest: string): Promise<Omit<Artifact, "index">> {
    const { artifacts, uploads, keys, maxArtifactBytes } = this.#deps;
    const key = newArtifactKey();
    const blob = await artifacts.add(sealArtifact(blobBytes(uploads, digest), key), maxArtifactBytes);
    await keys.keep(blob.sha256, key.key);
    const plainBytes = (await uploads.size(digest)) ?? 0;
    return { ...blob, encryption: { algorithm: "aes-256-gcm", plainSha256: digest, plainBytes } };
  }
}

/** The files of the baseline, in the order of their names. */
function referenceFiles(bundle: Bundle, files: Readonly<Record<string, string>>): string[] {
  const references = referencesOf(bundle);
  if (references === undefined) return [];
  const { folder, most, isInput } = references;
  return Object.keys(files)
    .filter((path) => path.startsWith(folder) && isInput(path))
    .sort()
    .slice(0, most);
}
