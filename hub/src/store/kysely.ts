// The one place that imports the query builder, so that replacing it touches one line per name.
export type { Dialect, Generated, Migration, Transaction } from "kysely";
export { Kysely, Migrator, SqliteDialect } from "kysely";
