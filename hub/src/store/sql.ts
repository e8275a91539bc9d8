import { MusterError } from "@muster/shared";
import { type Dialect, Kysely, type Migration, Migrator } from "./kysely.js";
import type { Tables } from "./tables.js";

/** The hub's store: typed SQL that SQLite and PostgreSQL both speak. */
export type Database = Kysely<Tables>;

/** Opens the store on a dialect and brings its tables up to date. Throws `store/damaged` when a migration fails. */
export async function openDatabase(dialect: Dialect, migrations: Record<string, Migration>): Promise<Database> {
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
