import { type DocStore, Turns } from "@muster/shared";
import { z } from "zod";
import type { Database } from "./store/sql.js";

/** What lies beside the artifacts: how often something among them was named. */
export const StoredRound = z.object({ round: z.int().min(0) });
export type StoredRound = z.infer<typeof StoredRound>;

const key = "stored-round";

/**
 * Every blob that was stored under this database. A database put back from a backup knows nothing of what was stored since
 * then, and what it does not know is not its to remove. It may know a blob that was named only after the backup was taken:
 * database and artifacts count what is named, and where the database is behind, it knows nothing.
 */
export class StoredBlobs {
  readonly #db: Database;
  readonly #beside: DocStore<StoredRound>;
  readonly #turns = new Turns();
  #round = 0;

  private constructor(db: Database, beside: DocStore<StoredRound>) {
    this.#db = db;
    this.#beside = beside;
  }

  /** Compares the database with what is kept beside the artifacts. */
  static async open(db: Database, beside: DocStore<StoredRound>): Promise<StoredBlobs> {
    const stored = new StoredBlobs(db, beside);
    const row = await db.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst();
    const [known, seen] = [Number(row?.value ?? 0), (await beside.read()).round];
    if (known < seen) await db.deleteFrom("stored_blobs").execute();
    stored.#round = Math.max(known, seen);
    // A process that was killed may have named something and not counted it.
    await stored.named();
    return stored;
  }

  /** Remembers a blob; call it before the blob is in the store, so that nothing that a crash leaves is unknown. */
  async note(digest: string): Promise<void> {
    const insert = this.#db.insertInto("stored_blobs").values({ digest });
    await insert.onConflict((conflict) => conflict.column("digest").doNothing()).execute();
  }

  /** Counts that blobs were named; call it when they are. A crash in the middle leaves the database ahead, never behind. */
  named(): Promise<void> {
    return this.#turns.take(async () => {
      const round = this.#round + 1;
      const value = String(round);
      const insert = this.#db.insertInto("meta").values({ key, value });
      await insert.onConflict((conflict) => conflict.column("key").doUpdateSet({ value })).execute();
      await this.#beside.write({ round });
      this.#round = round;
    });
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
