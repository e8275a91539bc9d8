import { promisify } from "node:util";
import { deflateRaw } from "node:zlib";
import {
  type Artifact,
  type BlobStore,
  type Clock,
  decodeChunkIndex,
  encodeChunkIndex,
  type Log,
  type Manifest,
  type TransferHint,
  type VersionView,
} from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { blobBytes, chunkUp, storeBytes } from "./chunking.js";
import { deltaBytes, deltaHeader } from "./delta.js";
import type { Database } from "./store/sql.js";
import type { Storing } from "./storing.js";

const compress = promisify(deflateRaw);

export interface EncodingsDeps {
  readonly db: Database;
  readonly artifacts: BlobStore;
  readonly catalog: Catalog;
  readonly storing: Storing;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where the compressed form of each chunk lies, by the chunk's offset. */
export interface Packing {
  readonly blob: string;
  readonly chunks: ReadonlyMap<number, { readonly length: number; readonly offset: number; readonly packed: number }>;
}

/** A form is kept only when it saves at least this share. */
const worthwhile = 0.95;
/** Versions before that a delta is made from. */
const deltaBases = 2;
/** So many chunks tell whether compressing the rest is worth it. */
const sampledChunks = 32;
const tablesKept = 16;
/** How far what is made and not stored yet counts at most. */
const almost = 0.99;

/** Shorter forms of artifacts, made once after a push: compressed chunks, and deltas to the versions before. */
export class Encodings {
  readonly #deps: EncodingsDeps;
  readonly #tables = new Map<string, Packing>();
  readonly #progress = new Map<string, number>();
  /** Versions for which it could not be done; it is tried again with the next kick. */
  readonly #failed = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(deps: EncodingsDeps) {
    this.#deps = deps;
  }

  /** Prepares what is not prepared yet, in the background; what a restart interrupted is begun again. */
  kick(): void {
    this.#running = this.#running
      .then(() => this.#run())
      .catch((error) => this.#deps.log.error("encodings.failed", { error }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** How far a version is prepared, 0 to 1; 1 only once all of it is stored, or nothing more will come of it for now. */
  async prepared({ manifestDigest }: Pick<VersionView, "manifestDigest">): Promise<number> {
    const { db } = this.#deps;
    if (this.#failed.has(manifestDigest)) return 1;
    const done = await db
      .selectFrom("prepared")
      .select("manifest")
      .where("manifest", "=", manifestDigest)
      .executeTakeFirst();
    return done === undefined ? Math.min(almost, this.#progress.get(manifestDigest) ?? 0) : 1;
  }

  /** Shorter ways to the artifacts of a version. */
  async hints({ variants }: Manifest): Promise<TransferHint[]> {
    const hints: TransferHint[] = [];
    for (const { artifact } of variants) {
      const rows = await this.#deps.db
        .selectFrom("encodings")
        .selectAll()
        .where("artifact", "=", artifact.sha256)
        .execute();
      const deflated = rows.find(({ kind }) => kind === "deflate");
      const deltas = rows
        .filter(({ kind }) => kind === "delta")
        .map((row) => ({ base: row.base, delta: artifactOf(row) }));
      if (deflated === undefined && deltas.length === 0) continue;
      hints.push({
        artifact: artifact.sha256,
        ...(deflated === undefined ? {} : { deflatedBytes: deflated.data_bytes }),
        ...(deltas.length === 0 ? {} : { deltas }),
      });
    }
    return hints;
  }

  /** The compressed chunks of an artifact; undefined when there are none. */
  async packing(artifact: string): Promise<Packing | undefined> {
    const known = this.#tables.get(artifact);
    if (known !== undefined) return known.chunks.size === 0 ? undefined : known;
    const { db, artifacts } = this.#deps;
    const row = await db
      .selectFrom("encodings")
      .selectAll()
      .where("artifact", "=", artifact)
      .where("kind", "=", "deflate")
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const table = await artifacts.read(row.index_digest, 0, row.index_bytes);
    const packing: Packing = { blob: row.data_digest, chunks: readTable(table) };
    if (this.#tables.size >= tablesKept) this.#tables.delete(this.#tables.keys().next().value ?? "");
    this.#tables.set(artifact, packing);
    return packing;
  }

  /** Forgets where the compressed chunks of an artifact lie, because they are no longer kept. */
  forget(artifact: string): void {
    this.#tables.delete(artifact);
  }

  async #run(): Promise<void> {
    const { db, catalog, storing, clock, log } = this.#deps;
    const done = new Set(
      (await db.selectFrom("prepared").select("manifest").execute()).map(({ manifest }) => manifest),
    );
    const kept = await catalog.keptForms();
    const versions = (await catalog.list()).filter(
      ({ manifestDigest: digest }) => kept.has(digest) && !done.has(digest),
    );
    for (const version of versions.reverse()) {
      if (this.#closed) return;
      const { model, version: name, manifestDigest } = version;
      const beginMs = clock.steady();
      this.#failed.delete(manifestDigest);
      const preparing = storing.during(async () => {
        // It may have been removed meanwhile.
        if ((await catalog.byManifest(manifestDigest)) === undefined) return;
        await this.#prepare(version);
        if (this.#closed) return;
        await db.insertInto("prepared").values({ manifest: manifestDigest, at_ms: clock.now() }).execute();
        log.info("model.prepared", { model, version: name, ms: clock.steady() - beginMs });
      });
      await preparing.catch((error) => {
        this.#failed.add(manifestDigest);
        log.error("model.not-prepared", { model, version: name, error });
      });
      this.#progress.delete(manifestDigest);
    }
  }

  async #prepare({ model, release, manifest, manifestDigest }: VersionView): Promise<void> {
    const before = (await this.#deps.catalog.list(model))
      .filter((version) => version.release < release)
      .slice(0, deltaBases);
    const plain = manifest.variants.filter(({ artifact }) => artifact.encryption === undefined);
    const steps = plain.length * (1 + before.length);
    let step = 0;
    for (const { name, artifact } of plain) {
      await this.#pack(artifact, (share) => this.#progress.set(manifestDigest, (step + share) / steps));
      step += 1;
      for (const { manifest: older } of before) {
        const base = older.variants.find((variant) => variant.name === name)?.artifact;
        if (base !== undefined && base.encryption === undefined) await this.#delta(base, artifact);
        step += 1;
        this.#progress.set(manifestDigest, step / steps);
      }
    }
  }

  async #pack(artifact: Artifact, onProgress: (share: number) => void): Promise<void> {
    const { artifacts } = this.#deps;
    if (await this.#known(artifact.sha256, "deflate", "")) return;
    const chunks = decodeChunkIndex(
      await artifacts.read(artifact.index.sha256, 0, artifact.index.sizeBytes),
      artifact.sizeBytes,
    );
    const packed: number[] = [];
    let [readBytes, sentBytes] = [0, 0];
    let hopeless = false;
    const pieces = async function* () {
      for (const [at, { offset, length }] of chunks.entries()) {
        const bytes = await artifacts.read(artifact.sha256, offset, length);
        const small = await compress(bytes, { level: 6 });
        const wins = small.length < length * worthwhile;
        packed.push(wins ? small.length : 0);
        readBytes += length;
        sentBytes += wins ? small.length : length;
        onProgress(readBytes / artifact.sizeBytes);
        if (wins) yield small;
        hopeless = at === sampledChunks && sentBytes > readBytes * worthwhile;
        if (hopeless) return;
      }
    };
    const data = await artifacts.add(pieces(), artifact.sizeBytes);
    // What is not kept is left to the sweep: chunks of another artifact may be these very bytes.
    if (hopeless || sentBytes > artifact.sizeBytes * worthwhile) return;
    const index = await storeBytes(
      artifacts,
      writeTable(
        chunks.map(({ length }) => length),
        packed,
      ),
    );
    await this.#record(artifact.sha256, "deflate", "", { ...data, sizeBytes: sentBytes, index });
  }

  async #delta(base: Artifact, target: Artifact): Promise<void> {
    const { artifacts } = this.#deps;
    if (base.sha256 === target.sha256 || (await this.#known(target.sha256, "delta", base.sha256))) return;
    const header = await deltaHeader(artifacts, base.sha256, target.sha256);
    if (header === undefined) return;
    const data = await artifacts
      .add(deltaBytes(artifacts, base.sha256, target.sha256, header), Math.floor(target.sizeBytes * worthwhile))
      .catch((error: { code?: string }) => {
        // Larger than it is worth.
        if (error.code === "artifact/too-large") return undefined;
        throw error;
      });
    if (data === undefined) return;
    const index = await storeBytes(artifacts, encodeChunkIndex(await chunkUp(blobBytes(artifacts, data.sha256))));
    await this.#record(target.sha256, "delta", base.sha256, { ...data, index });
  }

  async #known(artifact: string, kind: string, base: string): Promise<boolean> {
    const row = await this.#deps.db
      .selectFrom("encodings")
      .select("artifact")
      .where("artifact", "=", artifact)
      .where("kind", "=", kind)
      .where("base", "=", base)
      .executeTakeFirst();
    return row !== undefined;
  }

  async #record(artifact: string, kind: string, base: string, { sha256, sizeBytes, index }: Artifact): Promise<void> {
    const row = { artifact, kind, base, data_digest: sha256, data_bytes: sizeBytes };
    await this.#deps.db
      .insertInto("encodings")
      .values({ ...row, index_digest: index.sha256, index_bytes: index.sizeBytes })
      .execute();
  }
}

function artifactOf(row: {
  data_digest: string;
  data_bytes: number;
  index_digest: string;
  index_bytes: number;
}): Artifact {
  const index = { sha256: row.index_digest, sizeBytes: row.index_bytes };
  return { sha256: row.data_digest, sizeBytes: row.data_bytes, index };
}

/** Per chunk its length and its compressed length, u32 each, big endian; 0 for one that travels as it is. */
function writeTable(lengths: readonly number[], packed: readonly number[]): Buffer {
  const table = Buffer.alloc(lengths.length * 8);
  lengths.forEach((length, at) => {
    table.writeUInt32BE(length, at * 8);
    table.writeUInt32BE(packed[at] ?? 0, at * 8 + 4);
  });
  return table;
}

function readTable(table: Buffer): Packing["chunks"] {
  const chunks = new Map<number, { length: number; offset: number; packed: number }>();
  let [plainAt, packedAt] = [0, 0];
  for (let at = 0; at < table.length; at += 8) {
    const [length, packed] = [table.readUInt32BE(at), table.readUInt32BE(at + 4)];
    if (packed > 0) chunks.set(plainAt, { length, offset: packedAt, packed });
    plainAt += length;
    packedAt += packed;
  }
  return chunks;
}
