import {
  type BlobRef,
  type BlobStore,
  type Clock,
  Envelope,
  type Manifest,
  MusterError,
  type VersionView,
} from "@muster/shared";
import { storeBytes } from "./chunking.js";
import { keptForms } from "./core/kept-forms.js";
import type { Devices } from "./devices.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

export interface CatalogDeps {
  readonly db: Database;
  readonly devices: Devices;
  /** What devices may fetch. */
  readonly artifacts: BlobStore;
  readonly clock: Clock;
}

/** The models and their immutable versions. */
export class Catalog {
  readonly #deps: CatalogDeps;
  constructor(deps: CatalogDeps) {
    this.#deps = deps;
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

  /** The signed manifest of a version. Throws `model/unknown`. */
  async envelope(model: string, version: string): Promise<Envelope> {
    const { sha256, sizeBytes } = await this.manifestRef(model, version);
    const bytes = await this.#deps.artifacts.read(sha256, 0, sizeBytes);
    return Envelope.parse(JSON.parse(bytes.toString("utf8")));
  }

  /** The number the next version of the model gets. */
  async nextRelease(model: string): Promise<number> {
    const newest = await this.#deps.db
      .selectFrom("versions")
      .select(({ fn }) => fn.max("release").as("release"))
      .where("model", "=", model)
      .executeTakeFirst();
    // Devices may have had more than this store remembers, as after a restored backup.
    const reported = (await this.#deps.devices.list()).flatMap(({ reported }) =>
      (reported?.models ?? []).filter((entry) => entry.model === model).map(({ committed }) => committed?.release ?? 0),
    );
    const removed = await this.#deps.db
      .selectFrom("meta")
      .select("value")
      .where("key", "=", removedRelease(model))
      .executeTakeFirst();
    return Math.max(Number(newest?.release ?? 0), Number(removed?.value ?? 0), ...reported, 0) + 1;
  }

  /** The manifests of those versions that have shorter forms, or are to get them. */
  async keptForms(): Promise<Set<string>> {
    const { db, devices } = this.#deps;
    const rows = await db.selectFrom("versions").select(["model", "release", "manifest_digest"]).execute();
    const wanted = (await devices.list()).flatMap((device) => device.wanted.map(({ manifest }) => manifest.sha256));
    return keptForms(
      rows.map(({ manifest_digest: manifest, ...row }) => ({ ...row, manifest })),
      new Set(wanted),
    );
  }

  /** What a version was made of, so that pushing it again changes nothing; undefined when there is none. */
  async contentDigest(model: string, version: string): Promise<string | undefined> {
    return (await this.#row(model, version))?.content_digest;
  }

  /** Takes a signed version in. */
  async record(manifest: Manifest, envelope: Envelope, contentDigest: string): Promise<VersionView> {
    const { db, artifacts, clock } = this.#deps;
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
      pushed_ms: clock.now(),
    };
    await db.insertInto("versions").values(row).execute();
    return view(row, new Map());
  }

  /** Takes a version out, as if it had not been pushed, except that its release number is not given again. Throws `model/unknown`. */
  async remove(model: string, version: string): Promise<void> {
    const { manifestDigest, release } = await this.get(model, version);
    await this.#deps.db.transaction().execute(async (tx) => {
      const key = removedRelease(model);
      const before = await tx.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst();
      const value = String(Math.max(Number(before?.value ?? 0), release));
      await tx
        .insertInto("meta")
        .values({ key, value })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
        .execute();
      await tx.deleteFrom("prepared").where("manifest", "=", manifestDigest).execute();
      await tx.deleteFrom("versions").where("model", "=", model).where("version", "=", version).execute();
    });
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

/** Where the highest release of a model that was ever removed is remembered. */
function removedRelease(model: string): string {
  return `removed-release ${model}`;
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
