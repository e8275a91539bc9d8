import { certificates } from "./certificates-migration.js";
import type { Kysely, Migration } from "./kysely.js";
import { people } from "./people-migration.js";

/** Every change of the tables, in the order of its name. A released migration is never edited. */
export const migrations: Record<string, Migration> = {
  "0001-begin": { up: begin },
  "0002-people": { up: people },
  "0003-certificates": { up: certificates },
  "0004-drafts": { up: drafts },
  "0005-encodings": { up: encodings },
  "0006-stored-blobs": { up: storedBlobs },
  "0007-engines": { up: engines },
};

async function begin(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable("meta")
    .addColumn("key", "text", (c) => c.primaryKey())
    .addColumn("value", "text", (c) => c.notNull())
    .execute();
  await schema
    .createTable("invites")
    .addColumn("secret_hash", "text", (c) => c.primaryKey())
    .addColumn("device", "text")
    .addColumn("labels", "text", (c) => c.notNull())
    .addColumn("uses_left", "integer", (c) => c.notNull())
    .addColumn("expires_ms", "bigint", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
  await schema
    .createTable("devices")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("labels", "text", (c) => c.notNull())
    .addColumn("joined_ms", "bigint", (c) => c.notNull())
    .addColumn("last_seen_ms", "bigint")
    .addColumn("certificate_serial", "text", (c) => c.notNull())
    .addColumn("hello", "text")
    .addColumn("reported", "text")
    .addColumn("desired_revision", "integer", (c) => c.notNull())
    .addColumn("desired_models", "text", (c) => c.notNull())
    .addColumn("desired_envelope", "text")
    .addColumn("desired_expires_ms", "bigint", (c) => c.notNull())
    .execute();
  await schema
    .createTable("versions")
    .addColumn("model", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("release", "integer", (c) => c.notNull())
    .addColumn("manifest_digest", "text", (c) => c.notNull())
    .addColumn("manifest_bytes", "integer", (c) => c.notNull())
    .addColumn("manifest", "text", (c) => c.notNull())
    .addColumn("content_digest", "text", (c) => c.notNull())
    .addColumn("size_bytes", "bigint", (c) => c.notNull())
    .addColumn("pushed_ms", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("versions_key", ["model", "version"])
    .addUniqueConstraint("versions_release", ["model", "release"])
    .execute();
  await schema
    .createTable("rollouts")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("model", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("selector", "text", (c) => c.notNull())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("reason", "text")
    .addColumn("settings", "text", (c) => c.notNull())
    .addColumn("waves", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("changed_ms", "bigint", (c) => c.notNull())
    .execute();
  await schema
    .createTable("rollout_devices")
    .addColumn("rollout_id", "text", (c) => c.notNull())
    .addColumn("device", "text", (c) => c.notNull())
    .addColumn("wave", "integer", (c) => c.notNull())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("tries", "integer", (c) => c.notNull())
    .addColumn("previous", "text")
    .addColumn("offered_ms", "bigint")
    .addColumn("started_ms", "bigint")
    .addColumn("error", "text")
    .addPrimaryKeyConstraint("rollout_devices_key", ["rollout_id", "device"])
    .execute();
  await schema
    .createTable("events")
    .addColumn("id", "integer", (c) => c.primaryKey().autoIncrement())
    .addColumn("at_ms", "bigint", (c) => c.notNull())
    .addColumn("device", "text")
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("fields", "text", (c) => c.notNull())
    .addColumn("stream", "text")
    .addColumn("seq", "bigint")
    .addUniqueConstraint("events_once", ["device", "stream", "seq"])
    .execute();
  await schema
    .createTable("windows")
    .addColumn("device", "text", (c) => c.notNull())
    .addColumn("stream", "text", (c) => c.notNull())
    .addColumn("seq", "bigint", (c) => c.notNull())
    .addColumn("model", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("manifest", "text", (c) => c.notNull())
    .addColumn("provider", "text", (c) => c.notNull())
    .addColumn("start_ms", "bigint", (c) => c.notNull())
    .addColumn("end_ms", "bigint", (c) => c.notNull())
    .addColumn("inputs", "integer", (c) => c.notNull())
    .addColumn("errors", "integer", (c) => c.notNull())
    .addColumn("dropped", "integer", (c) => c.notNull())
    .addColumn("body", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("windows_key", ["device", "stream", "seq"])
    .execute();
  await schema.createIndex("windows_by_time").on("windows").columns(["end_ms"]).execute();
  await schema.createIndex("windows_by_device").on("windows").columns(["device", "model", "end_ms"]).execute();
  await schema
    .createTable("drifting")
    .addColumn("device", "text", (c) => c.notNull())
    .addColumn("model", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("feature", "text", (c) => c.notNull())
    .addColumn("since_ms", "bigint", (c) => c.notNull())
    .addColumn("psi", "double precision", (c) => c.notNull())
    .addPrimaryKeyConstraint("drifting_key", ["device", "model", "feature"])
    .execute();
}

async function drafts({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable("devices").addColumn("sealed_for", "text").execute();
  for (const column of ["issuer", "scope"]) {
    await schema
      .alterTable("invites")
      .addColumn(column, "text", (c) => c.notNull().defaultTo(""))
      .execute();
  }
  await schema
    .createTable("drafts")
    .addColumn("payload_digest", "text", (c) => c.primaryKey())
    .addColumn("payload", "text", (c) => c.notNull())
    .addColumn("content_digest", "text", (c) => c.notNull())
    .addColumn("used", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
  await schema
    .createTable("artifact_keys")
    .addColumn("artifact", "text", (c) => c.primaryKey())
    .addColumn("sealed", "text", (c) => c.notNull())
    .execute();
}

async function encodings({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable("encodings")
    .addColumn("artifact", "text", (c) => c.notNull())
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("base", "text", (c) => c.notNull())
    .addColumn("data_digest", "text", (c) => c.notNull())
    .addColumn("data_bytes", "bigint", (c) => c.notNull())
    .addColumn("index_digest", "text", (c) => c.notNull())
    .addColumn("index_bytes", "integer", (c) => c.notNull())
    .addPrimaryKeyConstraint("encodings_key", ["artifact", "kind", "base"])
    .execute();
  await schema
    .createTable("prepared")
    .addColumn("manifest", "text", (c) => c.primaryKey())
    .addColumn("at_ms", "bigint", (c) => c.notNull())
    .execute();
}

async function storedBlobs({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable("stored_blobs")
    .addColumn("digest", "text", (c) => c.primaryKey())
    .execute();
}

async function engines({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable("devices").addColumn("told_engines", "text").execute();
  await schema
    .createTable("engines")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("artifact", "text", (c) => c.notNull())
    .addColumn("engine_class", "text", (c) => c.notNull())
    .addColumn("payload", "text", (c) => c.notNull())
    .addColumn("payload_digest", "text", (c) => c.notNull())
    .addColumn("envelope", "text")
    .addColumn("hardware", "text", (c) => c.notNull())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .addColumn("signed_ms", "bigint")
    .addUniqueConstraint("engines_once", ["artifact", "engine_class"])
    .execute();
}
