import { type AuditEntry, sha256 } from "@muster/shared";

/** The hash before the first entry. */
export const chainStart = "0".repeat(64);

/** What an entry says, before it is chained. */
export type AuditRecord = Omit<AuditEntry, "previous" | "hash">;

/** The entry chained to the one before: its hash covers all its fields and the hash before, so no change goes unseen. */
export function chained(record: AuditRecord, previous: string): AuditEntry {
  return { ...record, previous, hash: hashOf(record, previous) };
}

/** Why an entry does not follow the ones before; undefined when it does. */
export function chainProblem(entry: AuditEntry, expectedSeq: number, previous: string): string | undefined {
  if (entry.seq !== expectedSeq) return `entry ${expectedSeq} is missing`;
  if (entry.previous !== previous) return `entry ${entry.seq} does not follow the one before`;
  if (entry.hash !== hashOf(entry, previous)) return `entry ${entry.seq} was changed`;
  return undefined;
}

/** Over the fields in a fixed order, as a JSON array: no two different records have the same text. */
function hashOf(record: AuditRecord, previous: string): string {
  const { seq, atMs, actor, token, address, action, subject, outcome, before, after } = record;
  return sha256(JSON.stringify([previous, seq, atMs, actor, token, address, action, subject, outcome, before, after]));
}
