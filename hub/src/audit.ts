import {
  type AuditEntry,
  type AuditQuery,
  type AuditVerdict,
  type Clock,
  type Log,
  MusterError,
  sha256,
  Turns,
} from "@muster/shared";
import { type AuditRecord, chained, chainProblem, chainStart } from "./core/audit-chain.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

/** Who changed something, and from where. */
export interface AuditActor {
  readonly user: string;
  readonly token?: string;
  readonly address?: string;
}

/** What was changed. */
export interface Change<T> {
  /** `device.label`, `rollout.start` … */
  readonly action: string;
  readonly subject: string;
  /** What of the subject is recorded, as it was before; without it there was none. */
  readonly before?: () => Promise<unknown>;
  /** The same of what came of it; without it, all of that. */
  readonly after?: (made: T) => unknown;
}

const batchRows = 1000;

/** The append-only log of every change, each entry chained to the one before. */
export class Audit {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #log: Log;
  #seq: number;
  #head: string;
  /** One entry after the other. */
  readonly #turns = new Turns();

  private constructor(db: Database, clock: Clock, log: Log, last: Tables["audit"] | undefined) {
    this.#db = db;
    this.#clock = clock;
    this.#log = log;
    this.#seq = last?.seq ?? 0;
    this.#head = last?.hash ?? chainStart;
  }

  static async open(db: Database, clock: Clock, log: Log): Promise<Audit> {
    const last = await db.selectFrom("audit").selectAll().orderBy("seq", "desc").limit(1).executeTakeFirst();
    return new Audit(db, clock, log, last);
  }

  /** Makes a change and records it, with digests of what was and is. The change counts as made only with its entry. */
  async change<T>(actor: AuditActor, change: Change<T>, make: () => Promise<T>): Promise<T> {
    const { action, subject, before, after = (made: T): unknown => made } = change;
    // Before the change: one that nobody answers for is not made.
    if (typeof actor?.user !== "string" || actor.user === "")
      throw new MusterError("internal", "a change without an actor");
    const was = await before?.().catch(() => undefined);
    const made = await make();
    await this.#append(actor, action, subject, "done", { before: digestOf(was), after: digestOf(after(made)) });
    return made;
  }

  /** Records that somebody tried what they may not. */
  async refused(actor: AuditActor, action: string, subject: string): Promise<void> {
    await this.#append(actor, action, subject, "refused", { before: null, after: null });
  }

  /** Oldest first: those after a number, or else the newest. */
  async list({ actor, action, after, limit }: AuditQuery): Promise<AuditEntry[]> {
    let query = this.#db.selectFrom("audit").selectAll().limit(limit);
    if (actor !== undefined) query = query.where("actor", "=", actor);
    if (action !== undefined) query = query.where("action", "=", action);
    query = after === undefined ? query.orderBy("seq", "desc") : query.where("seq", ">", after).orderBy("seq", "asc");
    const entries = (await query.execute()).map(entryOf);
    return after === undefined ? entries.reverse() : entries;
  }

  /** Walks the whole chain. `head` is one that was noted before: when it is not found, the log was cut short. */
  async verify(head?: string): Promise<AuditVerdict> {
    let [previous, seq, found] = [chainStart, 0, head === undefined || head === chainStart];
    for (;;) {
      const rows = await this.#db
        .selectFrom("audit")
        .selectAll()
        .where("seq", ">", seq)
        .orderBy("seq")
        .limit(batchRows)
        .execute();
      for (const entry of rows.map(entryOf)) {
        const reason = chainProblem(entry, seq + 1, previous);
        if (reason !== undefined) {
          return { intact: false, entries: seq, head: previous, broken: { seq: seq + 1, reason } };
        }
        [previous, seq] = [entry.hash, entry.seq];
        found ||= entry.hash === head;
      }
      if (rows.length < batchRows) break;
    }
    if (found) return { intact: true, entries: seq, head: previous };
    const reason = "the head noted earlier is not in the log: entries were removed from its end";
    return { intact: false, entries: seq, head: previous, broken: { seq: seq + 1, reason } };
  }

  #append(
    { user, token, address }: AuditActor,
    action: string,
    subject: string,
    outcome: AuditEntry["outcome"],
    digests: Pick<AuditRecord, "before" | "after">,
  ): Promise<void> {
    return this.#turns.take(async () => {
      const record: AuditRecord = {
        ...{ seq: this.#seq + 1, atMs: this.#clock.now(), actor: user, token: token ?? null, address: address ?? null },
        ...{ action, subject, outcome },
        ...digests,
      };
      const entry = chained(record, this.#head);
      const { atMs, ...row } = entry;
      await this.#db
        .insertInto("audit")
        .values({ ...row, at_ms: atMs })
        .execute();
      this.#seq = entry.seq;
      this.#head = entry.hash;
      // Whoever collects the hub's log elsewhere holds the chain by its head.
      this.#log.info("audit.recorded", { seq: entry.seq, actor: user, action, subject, outcome, hash: entry.hash });
    });
  }
}

function digestOf(value: unknown): string | null {
  return value === undefined || value === null ? null : sha256(JSON.stringify(value));
}

function entryOf({ at_ms, outcome, ...row }: Tables["audit"]): AuditEntry {
  const { seq, actor, token, address, action, subject, before, after, previous, hash } = row;
  return {
    ...{ seq, atMs: at_ms, actor, token, address, action, subject, before, after, previous, hash },
    // As it is stored: the chain is checked over it, whatever somebody wrote there.
    outcome: outcome as AuditEntry["outcome"],
  };
}
