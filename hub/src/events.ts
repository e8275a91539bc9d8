import type { Clock, DeviceEvent, EventQuery, HubEvent } from "@muster/shared";
import type { Database } from "./store/sql.js";

/** What happened, on devices and in the hub, in the order it became known here. */
export class EventLog {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Adds an event of the hub itself, about a device or about none. */
  async append(device: string | undefined, kind: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    const row = {
      at_ms: this.#clock.now(),
      device: device ?? null,
      kind,
      fields: JSON.stringify(fields),
      stream: null,
      seq: null,
    };
    await this.#db.insertInto("events").values(row).execute();
  }

  /** Stores events out of a device's outbox; those stored before are left as they are. */
  async take(device: string, stream: string, events: readonly DeviceEvent[]): Promise<void> {
    const rows = events.map(({ seq, atMs, kind, fields }) => ({
      at_ms: atMs,
      device,
      kind,
      fields: JSON.stringify(fields),
      stream,
      seq,
    }));
    await this.#db
      .insertInto("events")
      .values(rows)
      .onConflict((conflict) => conflict.columns(["device", "stream", "seq"]).doNothing())
      .execute();
  }

  /** Oldest first: those after a number, or else the newest; of some devices only, when they are given. */
  async list({ device, kind, after, limit }: EventQuery, only?: readonly string[]): Promise<HubEvent[]> {
    if (only?.length === 0) return [];
    let query = this.#db.selectFrom("events").selectAll().limit(limit);
    if (device !== undefined) query = query.where("device", "=", device);
    if (kind !== undefined) query = query.where("kind", "=", kind);
    if (only !== undefined) query = query.where("device", "in", only);
    query = after === undefined ? query.orderBy("id", "desc") : query.where("id", ">", after).orderBy("id", "asc");
    const events = (await query.execute()).map((row) => ({
      id: row.id,
      atMs: row.at_ms,
      ...(row.device === null ? {} : { device: row.device }),
      kind: row.kind,
      fields: JSON.parse(row.fields) as Record<string, unknown>,
    }));
    return after === undefined ? events.reverse() : events;
  }
}
