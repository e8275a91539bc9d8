import { type BlobStore, blobsOf, type Clock, type Log, type Manifest } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import type { Encodings } from "./encodings.js";
import type { EngineStore } from "./store/engine-store.js";
import type { Database } from "./store/sql.js";
import type { StoredBlobs } from "./stored-blobs.js";
import type { Storing } from "./storing.js";

export interface GarbageDeps {
  readonly db: Database;
  readonly artifacts: BlobStore;
  readonly stored: StoredBlobs;
  readonly catalog: Catalog;
  readonly encodings: Pick<Encodings, "forget">;
  readonly engines: Pick<EngineStore, "list" | "prune">;
  readonly storing: Storing;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 3_600_000;
/** An engine that waits for its signature goes after so long. */
const unsignedMs = 86_400_000;

/**
 * Removes what was stored under this database and nothing names: blobs that a push stored before it was killed, shorter forms
 * that are not worth their room any more, and all that a removed version left, engines of it among that. What was stored under another one, such as the
 * one that a backup took the place of, stays and is told. What to keep follows from the store alone, so that a sweep that is
 * cut off anywhere is made good by the next.
 */
export class Garbage {
  readonly #deps: GarbageDeps;
  readonly #counters = { "garbage-blobs-removed": 0, "garbage-bytes-removed": 0, "garbage-forms-removed": 0 };
  #unknown = { blobs: 0, bytes: 0 };
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(deps: GarbageDeps) {
    this.#deps = deps;
  }

  /** What was removed since the start. */
  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  /** What the last sweep left because this database neither names it nor has stored it. */
  get unknown(): { blobs: number; bytes: number } {
    return { ...this.#unknown };
  }

  /** Sweeps when it is time to, or when the last try had to wait for something that was being stored. */
  async sweepIfDue(): Promise<void> {
    if (this.#deps.clock.steady() - this.#sweptMs >= everyMs) await this.sweep();
  }

  /** Sweeps now, or soon when something is being stored; then it returns false. */
  async sweep(): Promise<boolean> {
    const { storing, clock } = this.#deps;
    const swept = await storing.alone(() => this.#sweep());
    this.#sweptMs = swept ? clock.steady() : Number.NEGATIVE_INFINITY;
    return swept;
  }

  async #sweep(): Promise<void> {
    const { artifacts, stored } = this.#deps;
    await this.#dropForms();
    const named = await this.#named();
    const known = await stored.all();
    const removed = { blobs: 0, bytes: 0 };
    const unknown = { blobs: 0, bytes: 0 };
    for await (const { digest, sizeBytes } of artifacts.list()) {
      const isKnown = known.delete(digest);
      // Versions of a hub that did not keep count become known here.
      if (named.has(digest)) {
        if (!isKnown) await stored.note(digest);
        continue;
      }
      const counted = isKnown ? removed : unknown;
      counted.blobs += 1;
      counted.bytes += sizeBytes;
      if (!isKnown) continue;
      await artifacts.delete(digest);
      await stored.forget(digest);
    }
    for (const gone of known) await stored.forget(gone);
    this.#tell(removed, unknown);
  }

  #tell(removed: { blobs: number; bytes: number }, unknown: { blobs: number; bytes: number }): void {
    const { log } = this.#deps;
    this.#counters["garbage-blobs-removed"] += removed.blobs;
    this.#counters["garbage-bytes-removed"] += removed.bytes;
    if (removed.blobs > 0) log.info("garbage.removed", removed);
    const before = this.#unknown;
    this.#unknown = unknown;
    if (unknown.blobs > 0 && unknown.blobs !== before.blobs) log.warn("garbage.unknown", unknown);
  }

  /** Forgets the shorter forms of versions that do not keep them, and keys and engines of artifacts that are not named any more. */
  async #dropForms(): Promise<void> {
    const { db, catalog, encodings, engines, clock } = this.#deps;
    const kept = await catalog.keptForms();
    const [here, worth] = [new Set<string>(), new Set<string>()];
    for (const { digest, manifest } of await this.#manifests()) {
      for (const { artifact } of manifest.variants) {
        here.add(artifact.sha256);
        if (kept.has(digest)) worth.add(artifact.sha256);
      }
    }
    // The mark that they were made goes first: what is forgotten half is made again, should it be wanted again.
    for (const { manifest } of await db.selectFrom("prepared").select("manifest").execute())
      if (!kept.has(manifest)) await db.deleteFrom("prepared").where("manifest", "=", manifest).execute();
    for (const { artifact, base, kind } of await db.selectFrom("encodings").selectAll().execute()) {
      if (worth.has(artifact) && (base === "" || here.has(base))) continue;
      const row = db.deleteFrom("encodings").where("artifact", "=", artifact).where("base", "=", base);
      await row.where("kind", "=", kind).execute();
      encodings.forget(artifact);
      this.#counters["garbage-forms-removed"] += 1;
    }
    for (const { artifact } of await db.selectFrom("artifact_keys").select("artifact").execute())
      if (!here.has(artifact)) await db.deleteFrom("artifact_keys").where("artifact", "=", artifact).execute();
    await engines.prune(here, clock.now() - unsignedMs);
  }

  /** Every blob that a version, a draft, a shorter form or an engine names. */
  async #named(): Promise<Set<string>> {
    const named = new Set<string>();
    for (const { digest, manifest } of await this.#manifests()) {
      named.add(digest);
      for (const { sha256 } of blobsOf(manifest)) named.add(sha256);
    }
    const forms = await this.#deps.db.selectFrom("encodings").select(["data_digest", "index_digest"]).execute();
    for (const form of forms) named.add(form.data_digest).add(form.index_digest);
    for (const { engine } of await this.#deps.engines.list())
      for (const { artifact } of engine.files) named.add(artifact.sha256).add(artifact.index.sha256);
    return named;
  }

  /** The manifests of versions, with their digests, and those of drafts, whose envelope is not there yet. */
  async #manifests(): Promise<{ digest: string; manifest: Manifest }[]> {
    const { db } = this.#deps;
    const versions = await db.selectFrom("versions").select(["manifest_digest", "manifest"]).execute();
    const drafts = await db.selectFrom("drafts").select("payload").execute();
    const texts = [
      ...versions.map(({ manifest_digest: digest, manifest: text }) => ({ digest, text })),
      ...drafts.map(({ payload }) => ({ digest: "", text: Buffer.from(payload, "base64").toString("utf8") })),
    ];
    return texts.map(({ digest, text }) => ({ digest, manifest: JSON.parse(text) as Manifest }));
  }
}
