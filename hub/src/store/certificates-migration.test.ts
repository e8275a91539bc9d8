import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import LibSql from "libsql";
import { openSqlite } from "../adapters/sqlite-store.js";
import { SqliteDialect } from "./kysely.js";
import { migrations } from "./migrations.js";
import { openDatabase } from "./sql.js";

test("devices that joined before certificates had rows keep the one they have", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "muster-migration-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "hub.db");
  const { "0001-begin": begin } = migrations;
  if (begin === undefined) throw new Error("there is no first migration");
  const before = await openDatabase(new SqliteDialect({ database: new LibSql(path) }), { "0001-begin": begin });
  await before.destroy();
  const file = new LibSql(path);
  file.exec(
    "insert into devices (id, labels, joined_ms, certificate_serial, desired_revision, desired_models, desired_expires_ms) values ('a', '{}', 1000, '5f', 3, '[]', 0)",
  );
  file.close();

  const db = await openSqlite(path);
  t.after(() => db.destroy());
  const expires = 1000 + 90 * 86_400_000;
  assert.deepEqual(await db.selectFrom("certificates").selectAll().execute(), [
    { device: "a", serial: "5f", issued_ms: 1000, expires_ms: expires, revoked_ms: null, reason: null },
  ]);
  assert.equal((await db.selectFrom("devices").selectAll().executeTakeFirstOrThrow()).desired_revision, 3);
});
