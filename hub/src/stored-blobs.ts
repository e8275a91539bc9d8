import type { Database } from "./store/sql.js";

/**
 * Every blob that was stored under this database. A database put back from a backup knows nothing of what was stored since
 * then, and what it does not know is not its to remove.
 */
export class StoredBlobs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Remembers a blob; call it before the blob is in the store, so that nothing that a crash leaves is unknown. */
  async note(digest: string): Promise<void> {
    const insert = this.#db.insertInto("stored_blobs").values({ digest });
    await insert.onConflict((conflict) => conflict.column("digest").doNothing()).execute();
  }

  /** Call it when the blob is gone. */
  async forget(digest: string): Promise<void> {
    await this.#db.deleteFrom("stored_blobs").where("digest", "=", digest).execute();
  }

  async all(): Promise<Set<string>> {
    const rows = await this.#db.selectFrom("stored_blobs").select("digest").execute();
    return new Set(rows.map(({ digest }) => digest));
  }
}
