import { type EngineHardware, Envelope, engineClass, type Hardware, PrebuiltEngine, sha256 } from "@muster/shared";
import type { Database } from "./sql.js";
import type { Tables } from "./tables.js";

/** An engine that a device built, as the hub keeps it for others. */
export interface StoredEngine {
  readonly id: string;
  readonly engine: PrebuiltEngine;
  /** The bytes that are signed, base64. */
  readonly payload: string;
  /** Absent until it is signed. */
  readonly signed: { readonly envelope: Envelope; readonly atMs: number } | undefined;
  readonly hardware: EngineHardware;
}

/** Engines in the database: at most one per model file and class, signed or waiting for it. */
export class EngineStore {
  readonly #db: Database;
  #changes = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Rises whenever what is shared does not stay as it was. */
  get changes(): number {
    return this.#changes;
  }

  /** All of them, the newest first. */
  async list(): Promise<StoredEngine[]> {
    const rows = await this.#db.selectFrom("engines").selectAll().orderBy("created_ms", "desc").orderBy("id").execute();
    return rows.map(engineOf);
  }

  /** The one of a model file for a class, signed or not. */
  async find(artifact: string, engineClass: string): Promise<StoredEngine | undefined> {
    const query = this.#db.selectFrom("engines").selectAll().where("artifact", "=", artifact);
    const row = await query.where("engine_class", "=", engineClass).executeTakeFirst();
    return row === undefined ? undefined : engineOf(row);
  }

  /** The one whose signature is to be over this payload (base64). */
  async byPayload(payload: string): Promise<StoredEngine | undefined> {
    const digest = sha256(Buffer.from(payload, "base64"));
    const query = this.#db.selectFrom("engines").selectAll().where("payload_digest", "=", digest);
    const row = await query.executeTakeFirst();
    return row === undefined ? undefined : engineOf(row);
  }

  /** Signed engines that run on a device of this hardware; none while it does not say enough of itself. */
  async signedFor(hardware: Hardware | undefined): Promise<StoredEngine[]> {
    const own = hardware === undefined ? undefined : engineClass(hardware);
    if (own === undefined) return [];
    const query = this.#db.selectFrom("engines").selectAll().where("engine_class", "=", own);
    const rows = await query.where("envelope", "is not", null).orderBy("id").execute();
    return rows.map(engineOf);
  }

  /** Keeps it in place of any other of the same model file and class. */
  async put({ id, engine, payload, signed, hardware }: StoredEngine): Promise<void> {
    const { artifact, engineClass: of, createdMs } = engine;
    await this.#db.transaction().execute(async (tx) => {
      await tx.deleteFrom("engines").where("artifact", "=", artifact).where("engine_class", "=", of).execute();
      await tx
        .insertInto("engines")
        .values({
          ...{ id, artifact, engine_class: of, payload, payload_digest: sha256(Buffer.from(payload, "base64")) },
          envelope: signed === undefined ? null : JSON.stringify(signed.envelope),
          ...{ hardware: JSON.stringify(hardware), created_ms: createdMs, signed_ms: signed?.atMs ?? null },
        })
        .execute();
    });
    this.#changes += 1;
  }

  /** Puts a signature to the one of an id, under the id it has from then on; false, and nothing is done, when it is gone. */
  async sign(id: string, signedId: string, { envelope, atMs }: NonNullable<StoredEngine["signed"]>): Promise<boolean> {
    const query = this.#db.updateTable("engines").where("id", "=", id);
    const set = { id: signedId, envelope: JSON.stringify(envelope), signed_ms: atMs };
    const { numUpdatedRows } = await query.set(set).executeTakeFirst();
    if (numUpdatedRows === 0n) return false;
    this.#changes += 1;
    return true;
  }

  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom("engines").where("id", "=", id).execute();
    this.#changes += 1;
  }

  /** Removes those of model files that are not among these, and those that nobody has signed since a time. */
  async prune(artifacts: ReadonlySet<string>, unsignedSinceMs: number): Promise<void> {
    for (const { id, engine, signed } of await this.list())
      if (!artifacts.has(engine.artifact) || (signed === undefined && engine.createdMs < unsignedSinceMs))
        await this.remove(id);
  }
}

function engineOf(row: Tables["engines"]): StoredEngine {
  const { id, payload, envelope, signed_ms: atMs } = row;
  return {
    ...{ id, payload },
    engine: PrebuiltEngine.parse(JSON.parse(Buffer.from(payload, "base64").toString("utf8"))),
    signed: envelope === null ? undefined : { envelope: Envelope.parse(JSON.parse(envelope)), atMs: atMs ?? 0 },
    hardware: JSON.parse(row.hardware) as EngineHardware,
  };
}
