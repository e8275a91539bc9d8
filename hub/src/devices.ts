import {
  type ChangeLabels,
  type Clock,
  type Device,
  type Hello,
  Labels,
  MusterError,
  parseWith,
  type Reported,
  type Wanted,
} from "@muster/shared";
import { parseSelector, selects } from "./core/fleet.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

export interface DevicesDeps {
  readonly db: Database;
  readonly clock: Clock;
  /** A device silent for this long counts as offline. */
  readonly offlineAfterMs: number;
}

/** A device as rooms work with it. */
export interface DeviceRecord extends Device {
  readonly wanted: readonly Wanted[];
}

/** Who belongs to the fleet, what each device said of itself last, and whether it is there now. */
export class Devices {
  readonly #deps: DevicesDeps;
  /** Time of the last sign of life of every connected device. */
  readonly #connected = new Map<string, number>();
  /** Every device of the fleet. */
  readonly #ids = new Set<string>();

  private constructor(deps: DevicesDeps) {
    this.#deps = deps;
  }

  static async open(deps: DevicesDeps): Promise<Devices> {
    const devices = new Devices(deps);
    for (const { id } of await deps.db.selectFrom("devices").select("id").execute()) devices.#ids.add(id);
    return devices;
  }

  /** Whether the device belongs to the fleet. */
  has(device: string): boolean {
    return this.#ids.has(device);
  }

  /** Every device of the fleet. */
  ids(): string[] {
    return [...this.#ids];
  }

  /** Devices that count as online and have given no sign of life since the time. */
  silentSince(ms: number): string[] {
    return [...this.#connected]
      .filter(([device, lastMs]) => lastMs < ms && this.online(device))
      .map(([device]) => device);
  }

  /** Takes a new device in. Throws `device/exists`. */
  async add(device: string, labels: Labels): Promise<void> {
    const { db, clock } = this.#deps;
    const added = await db
      .insertInto("devices")
      .values({
        id: device,
        labels: JSON.stringify(labels),
        joined_ms: clock.now(),
        last_seen_ms: null,
        hello: null,
        reported: null,
        desired_revision: 0,
        desired_models: "[]",
        desired_envelope: null,
        desired_expires_ms: 0,
        sealed_for: null,
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .executeTakeFirst();
    if (Number(added.numInsertedOrUpdatedRows ?? 0) === 0) {
      throw new MusterError(
        "device/exists",
        `device ${device} has joined already; remove it first (muster device rm ${device}), or let it join again (muster device invite --device ${device} --again)`,
      );
    }
    this.#ids.add(device);
  }

  /** Forgets a device and what it measured. Throws `device/unknown`. */
  async remove(device: string): Promise<void> {
    await this.get(device);
    this.#ids.delete(device);
    this.#connected.delete(device);
    await this.#deps.db.transaction().execute(async (tx) => {
      for (const table of ["windows", "events", "drifting", "rollout_devices", "invites"] as const) {
        await tx.deleteFrom(table).where("device", "=", device).execute();
      }
      await tx.deleteFrom("devices").where("id", "=", device).execute();
    });
  }

  alive(device: string): void {
    this.#connected.set(device, this.#deps.clock.now());
  }

  async gone(device: string): Promise<void> {
    const lastMs = this.#connected.get(device);
    this.#connected.delete(device);
    if (lastMs === undefined) return;
    await this.#deps.db.updateTable("devices").set({ last_seen_ms: lastMs }).where("id", "=", device).execute();
  }

  online(device: string): boolean {
    const lastMs = this.#connected.get(device);
    return lastMs !== undefined && this.#deps.clock.now() - lastMs < this.#deps.offlineAfterMs;
  }

  async hello(device: string, hello: Hello): Promise<void> {
    const { db, clock } = this.#deps;
    const set = { hello: JSON.stringify(hello), last_seen_ms: clock.now() };
    await db.updateTable("devices").set(set).where("id", "=", device).execute();
    // A device that was removed and has joined again, or a hub restored from a backup: the device refuses what
    // is not above its own revision, so the next document is made to be.
    await db
      .updateTable("devices")
      .set({ desired_revision: hello.revision, desired_envelope: null })
      .where("id", "=", device)
      .where("desired_revision", "<", hello.revision)
      .execute();
  }

  /** Keeps the device's own state; an older one of the same agent start is ignored. Returns the one before. */
  async report(device: string, reported: Reported): Promise<Reported | undefined> {
    const { db, clock } = this.#deps;
    const before = (await this.get(device)).reported;
    if (before !== undefined && before.bootId === reported.bootId && before.seq >= reported.seq) return before;
    const set = { reported: JSON.stringify(reported), last_seen_ms: clock.now() };
    await db.updateTable("devices").set(set).where("id", "=", device).execute();
    return before;
  }

  /** One device. Throws `device/unknown`. */
  async get(device: string): Promise<DeviceRecord> {
    const row = await this.#deps.db.selectFrom("devices").selectAll().where("id", "=", device).executeTakeFirst();
    if (row === undefined) throw new MusterError("device/unknown", `no device ${device} has joined this hub`);
    return this.#view(row);
  }

  /** The devices a selector names, by name. Throws `selector/invalid`. */
  async list(selector = ""): Promise<DeviceRecord[]> {
    const parsed = parseSelector(selector);
    const rows = await this.#deps.db.selectFrom("devices").selectAll().orderBy("id").execute();
    return rows.map((row) => this.#view(row)).filter(({ id, labels }) => selects(parsed, id, labels));
  }

  /** The labels a device would have after a change. Throws `request/invalid` past 64 labels. */
  relabelled({ labels }: Pick<Device, "labels">, { set, remove }: ChangeLabels): { labels: Labels } {
    const kept = Object.fromEntries(Object.entries({ ...labels, ...set }).filter(([key]) => !remove.includes(key)));
    const limited = Labels.refine((all) => Object.keys(all).length <= 64, "a device has at most 64 labels");
    return { labels: parseWith(limited, kept, "request/invalid", "labels") };
  }

  /** Throws `device/unknown`, or `request/invalid` past 64 labels. */
  async label(device: string, change: ChangeLabels): Promise<DeviceRecord> {
    const { labels: next } = this.relabelled(await this.get(device), change);
    await this.#deps.db
      .updateTable("devices")
      .set({ labels: JSON.stringify(next) })
      .where("id", "=", device)
      .execute();
    return this.get(device);
  }

  #view(row: Tables["devices"]): DeviceRecord {
    const hello = row.hello === null ? undefined : (JSON.parse(row.hello) as Hello);
    const wanted = JSON.parse(row.desired_models) as Wanted[];
    const lastSeenMs = this.#connected.get(row.id) ?? row.last_seen_ms ?? undefined;
    return {
      id: row.id,
      labels: JSON.parse(row.labels) as Labels,
      online: this.online(row.id),
      joinedMs: row.joined_ms,
      ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
      ...(hello === undefined ? {} : { agentVersion: hello.agentVersion, hardware: hello.hardware }),
      desired: { revision: row.desired_revision, models: wanted.map(({ model, version }) => ({ model, version })) },
      ...(row.reported === null ? {} : { reported: JSON.parse(row.reported) as Reported }),
      wanted,
    };
  }
}
