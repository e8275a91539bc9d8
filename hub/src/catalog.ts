import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Artifact,
  type BlobRef,
  type BlobStore,
  type Bundle,
  type Clock,
  encodeChunkIndex,
  invalid,
  type Log,
  type Manifest,
  MusterError,
  manifestType,
  type Problem,
  type PushedVersion,
  type PushVersion,
  parseBundle,
  type SigningKey,
  seal,
  sha256,
  type VersionView,
} from "@muster/shared";
import { blobBytes, chunkUp, storeBytes } from "./chunking.js";
import type { Devices } from "./devices.js";
import type { InspectResult, ModelInspector } from "./ports.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

export interface CatalogDeps {
  readonly db: Database;
  readonly devices: Devices;
  readonly inspector: ModelInspector;
  /** What devices may fetch. */
  readonly artifacts: BlobStore;
  /** What clients have sent and no push has used yet. */
  readonly uploads: BlobStore;
  readonly settings: {
    readonly clock: Clock;
    readonly log: Log;
    readonly release: SigningKey;
    readonly maxArtifactBytes: number;
  };
}

/** The models and their immutable versions. */
export class Catalog {
  readonly #deps: CatalogDeps;
  /** Pushes run one after the other: release numbers rise without gaps. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** Size of an upload that is here, or undefined. */
  async uploaded(digest: string): Promise<number | undefined> {
    return this.#deps.uploads.size(digest);
  }

  /** Takes a file of a bundle. Throws `artifact/digest-mismatch` or `artifact/too-large`. */
  async upload(digest: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#deps.uploads.write(digest, bytes, this.#deps.settings.maxArtifactBytes);
  }

  /**
   * Makes a version out of a bundle: checks it, opens its models, proves its self-test, measures its
   * baseline, cuts its artifacts and signs its manifest. Pushing the same again changes nothing.
   * Throws `bundle/…` with every problem, or `model/exists`.
   */
  push(request: PushVersion): Promise<PushedVersion> {
    const pushed = this.#turn.then(() => this.#push(request));
    this.#turn = pushed.catch(() => undefined);
    return pushed;
  }

  /** Versions, newest release first, of one model or of all. */
  async list(model?: string): Promise<VersionView[]> {
    let query = this.#deps.db.selectFrom("versions").selectAll().orderBy("model").orderBy("release", "desc");
    if (model !== undefined) query = query.where("model", "=", model);
    const committed = await this.#committed();
    return (await query.execute()).map((row) => view(row, committed));
  }

  /** One version. Throws `model/unknown`. */
  async get(model: string, version: string): Promise<VersionView> {
    const found = await this.find(model, version);
    if (found === undefined)
      throw new MusterError("model/unknown", `no version ${version} of model ${model}; see: muster model ls`);
    return found;
  }

  /** One version, or undefined. */
  async find(model: string, version: string): Promise<VersionView | undefined> {
    const row = await this.#row(model, version);
    return row === undefined ? undefined : view(row, await this.#committed());
  }

  /** The version a manifest digest names, or undefined. */
  async byManifest(digest: string): Promise<VersionView | undefined> {
    const row = await this.#deps.db
      .selectFrom("versions")
      .selectAll()
      .where("manifest_digest", "=", digest)
      .executeTakeFirst();
    return row === undefined ? undefined : view(row, new Map());
  }

  /** The signed manifest of a version, as a device is told of it. Throws `model/unknown`. */
  async manifestRef(model: string, version: string): Promise<BlobRef> {
    const row = await this.#row(model, version);
    if (row === undefined)
      throw new MusterError("model/unknown", `no version ${version} of model ${model}; see: muster model ls`);
    return { sha256: row.manifest_digest, sizeBytes: row.manifest_bytes };
  }

  /** Removes uploads that no push has used for a day. */
  async forgetUploads(): Promise<void> {
    const { uploads, settings } = this.#deps;
    for await (const { digest, modifiedMs } of uploads.list()) {
      if (settings.clock.now() - modifiedMs > 86_400_000) await uploads.delete(digest);
    }
  }

  async #push({ bundle: text, files, selfTest }: PushVersion): Promise<PushedVersion> {
    const { settings, uploads } = this.#deps;
    const bundle = parseBundle(text);
    const used = await this.#usedFiles(bundle, files);
    const contentDigest = sha256(JSON.stringify([text, used]));
    const before = await this.#row(bundle.name, bundle.version);
    if (before !== undefined) {
      if (before.content_digest === contentDigest) return { ...view(before, await this.#committed()), created: false };
      const message = `version ${bundle.version} of ${bundle.name} was pushed before with other contents; give it a new version`;
      throw new MusterError("model/exists", message);
    }
    const { baseline } = await this.#inspect(bundle, used, selfTest);
    const manifest = await this.#store(bundle, used, baseline);
    const row = await this.#record(manifest, contentDigest);
    for (const digest of new Set(Object.values(used))) await uploads.delete(digest);
    settings.log.info("model.pushed", { model: row.model, version: row.version, release: row.release });
    return { ...view(row, new Map()), created: true };
  }

  /** The digest of every file the bundle names, all missing ones reported together. */
  async #usedFiles(bundle: Bundle, files: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const problems: Problem[] = [];
    const used: Record<string, string> = {};
    const use = async (field: string, path: string) => {
      const digest = files[path];
      if (digest === undefined) problems.push({ field, message: `the bundle has no file '${path}'` });
      else if ((await this.uploaded(digest)) === undefined)
        problems.push({ field, message: `'${path}' was not uploaded; push again` });
      else used[path] = digest;
    };
    for (const [at, { file }] of bundle.variants.entries()) await use(`variants[${at}].file`, file);
    for (const [at, { file }] of bundle.selfTest.samples.entries()) await use(`selfTest.samples[${at}].file`, file);
    const references = referenceImages(bundle, files);
    for (const path of references) await use("baseline.images", path);
    if (bundle.baseline !== undefined && references.length < 20) {
      const message = `'${bundle.baseline.images}' holds ${references.length} images; at least 20 are needed to compare with`;
      problems.push({ field: "baseline.images", message });
    }
    if (problems.length > 0) throw invalid("bundle/invalid", "the bundle", problems);
    return used;
  }

  async #inspect(bundle: Bundle, used: Readonly<Record<string, string>>, selfTest: boolean): Promise<InspectResult> {
    const folder = await mkdtemp(join(tmpdir(), "muster-push-"));
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
        baseline: referenceImages(bundle, used).map(copyOf),
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
  ): Promise<Omit<Manifest, "release">> {
    const keep = async (path: string) => {
      const digest = used[path] ?? "";
      const sizeBytes = await this.#deps.artifacts.write(
        digest,
        blobBytes(this.#deps.uploads, digest),
        this.#deps.settings.maxArtifactBytes,
      );
      return { sha256: digest, sizeBytes };
    };
    const variants: Manifest["variants"] = [];
    for (const { name, precision, file } of bundle.variants) {
      const blob = await keep(file);
      const chunks = await chunkUp(blobBytes(this.#deps.artifacts, blob.sha256));
      const artifact: Artifact = { ...blob, index: await storeBytes(this.#deps.artifacts, encodeChunkIndex(chunks)) };
      variants.push({ name, precision, artifact });
    }
    const samples: Manifest["selfTest"]["samples"] = [];
    for (const { file, expect } of bundle.selfTest.samples) samples.push({ input: await keep(file), ...expect });
    return {
      model: bundle.name,
      version: bundle.version,
      createdMs: this.#deps.settings.clock.now(),
      task: bundle.task,
      variants,
      tensors: bundle.tensors,
      preprocess: bundle.preprocess,
      postprocess: bundle.postprocess,
      selfTest: { tolerance: bundle.selfTest.tolerance, samples },
      budgets: bundle.budgets,
      baseline,
      ...(bundle.licence === undefined ? {} : { licence: bundle.licence }),
      metadata: bundle.metadata,
    };
  }

  async #record(unreleased: Omit<Manifest, "release">, contentDigest: string): Promise<Tables["versions"]> {
    const { db, artifacts, settings } = this.#deps;
    const newest = await db
      .selectFrom("versions")
      .select(({ fn }) => fn.max("release").as("release"))
      .where("model", "=", unreleased.model)
      .executeTakeFirst();
    const manifest: Manifest = { ...unreleased, release: Number(newest?.release ?? 0) + 1 };
    const envelope = seal(manifestType, Buffer.from(JSON.stringify(manifest)), [settings.release]);
    const blob = await storeBytes(artifacts, Buffer.from(JSON.stringify(envelope)));
    const row: Tables["versions"] = {
      model: manifest.model,
      version: manifest.version,
      release: manifest.release,
      manifest_digest: blob.sha256,
      manifest_bytes: blob.sizeBytes,
      manifest: JSON.stringify(manifest),
      content_digest: contentDigest,
      size_bytes: manifest.variants.reduce((sum, { artifact }) => sum + artifact.sizeBytes, 0),
      pushed_ms: settings.clock.now(),
    };
    await db.insertInto("versions").values(row).execute();
    return row;
  }

  async #row(model: string, version: string): Promise<Tables["versions"] | undefined> {
    return this.#deps.db
      .selectFrom("versions")
      .selectAll()
      .where("model", "=", model)
      .where("version", "=", version)
      .executeTakeFirst();
  }

  /** How many devices have committed each manifest. */
  async #committed(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { reported } of await this.#deps.devices.list()) {
      for (const { committed } of reported?.models ?? []) {
        if (committed !== undefined) counts.set(committed.manifest, (counts.get(committed.manifest) ?? 0) + 1);
      }
    }
    return counts;
  }
}

/** The reference inputs of a bundle among its files, in the order of their names. */
function referenceImages(bundle: Bundle, files: Readonly<Record<string, string>>): string[] {
  const { baseline } = bundle;
  if (baseline === undefined) return [];
  const folder = baseline.images.endsWith("/") ? baseline.images : `${baseline.images}/`;
  const images = Object.keys(files).filter((path) => path.startsWith(folder) && /\.(jpe?g|png|webp)$/i.test(path));
  return images.sort().slice(0, baseline.maxImages);
}

function view(row: Tables["versions"], committed: ReadonlyMap<string, number>): VersionView {
  return {
    model: row.model,
    version: row.version,
    release: row.release,
    manifestDigest: row.manifest_digest,
    pushedMs: row.pushed_ms,
    sizeBytes: row.size_bytes,
    manifest: JSON.parse(row.manifest) as Manifest,
    devices: committed.get(row.manifest_digest) ?? 0,
  };
}
