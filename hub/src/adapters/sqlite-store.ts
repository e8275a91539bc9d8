import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import LibSql from "libsql";
import { SqliteDialect } from "../store/kysely.js";
import { migrations } from "../store/migrations.js";
import { type Database, openDatabase } from "../store/sql.js";

/**
 * The store in one SQLite file (libsql, prebuilt for x64, arm64 and armv7). Write-ahead log with
 * synchronous FULL: a transaction that returned survives a power cut.
 */
export async function openSqlite(path: string): Promise<Database> {
  if (path !== ":memory:") await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = new LibSql(path);
  file.exec("PRAGMA journal_mode = WAL");
  file.exec("PRAGMA synchronous = FULL");
  file.exec("PRAGMA busy_timeout = 5000");
  // What is erased for a person's sake is not to be found in the file's free pages either.
  file.exec("PRAGMA secure_delete = ON");
  return openDatabase(new SqliteDialect({ database: file }), migrations);
}
