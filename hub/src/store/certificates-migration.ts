import type { Kysely } from "./kysely.js";

interface Before {
  devices: { id: string; certificate_serial: string; joined_ms: number };
  certificates: { device: string; serial: string; issued_ms: number; expires_ms: number };
}

/** How long certificates lasted that were issued before their end was stored. */
const formerLifeMs = 90 * 86_400_000;

/** Certificates get rows of their own, so that they can be renewed and revoked; invitations can be for joining again. */
export async function certificates(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("certificates")
    .addColumn("device", "text", (c) => c.notNull())
    .addColumn("serial", "text", (c) => c.notNull())
    .addColumn("issued_ms", "bigint", (c) => c.notNull())
    .addColumn("expires_ms", "bigint", (c) => c.notNull())
    .addColumn("revoked_ms", "bigint")
    .addColumn("reason", "text")
    .addPrimaryKeyConstraint("certificates_key", ["device", "serial"])
    .execute();
  const before = db as Kysely<Before>;
  await before
    .insertInto("certificates")
    .columns(["device", "serial", "issued_ms", "expires_ms"])
    .expression(
      before
        .selectFrom("devices")
        .select(({ eb }) => [
          ...(["id", "certificate_serial", "joined_ms"] as const),
          eb("joined_ms", "+", formerLifeMs).as("expires_ms"),
        ]),
    )
    .execute();
  await db.schema.alterTable("devices").dropColumn("certificate_serial").execute();
  await db.schema
    .alterTable("invites")
    .addColumn("again", "integer", (c) => c.notNull().defaultTo(0))
    .execute();
}
