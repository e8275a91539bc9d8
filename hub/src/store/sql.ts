import { type Generated, Kysely, type Migration, Migrator, SqliteDialect, sql, type Transaction } from "kysely";
import { MusterError } from "@muster/shared";
import type { Tables } from "./tables.js";

export { SqliteDialect, sql };
export type { Generated, Kysely, Migration };

/** The hub's store: typed SQL that SQLite and PostgreSQL both speak. */
export type Database = Kysely<Tables>;
/** The store itself or a transaction on it. */
export type Queries = Kysely<Tables> | Transaction<Tables>;

/** Opens the store on a dialect and brings its tables up to date. */
export async function openDatabase(
  dialect: ConstructorParameters<typeof Kysely>[0]["dialect"],
  migrations: Record<string, Migration>,
): Promise<Database> {
  const db = new Kysely<Tables>({ dialect });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results?.find(({ status }) => status === "Error")?.migrationName ?? "unknown";
    await db.destroy();
    throw new MusterError("store/damaged", `database migration ${failed} failed`, { cause: error });
  }
  return db;
}
