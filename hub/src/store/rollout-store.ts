import { MusterError, RolloutSettings, type Wanted } from "@muster/shared";
import { activeStates, isActive, type Progress, type RolloutRecord } from "../core/rollout.js";
import type { Database } from "./sql.js";
import type { Tables } from "./tables.js";

/** A rollout with its name and target. */
export interface StoredRollout extends RolloutRecord {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  readonly selector: string;
  readonly createdMs: number;
  readonly changedMs: number;
}

/** A device's progress, and what it was wanted to run before the rollout. */
export interface StoredProgress extends Progress {
  readonly previous: Wanted | undefined;
}

/** Rollouts and their devices in the store; a rollout and all of its devices change in one transaction. */
export class RolloutStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async insert(rollout: StoredRollout, progress: readonly StoredProgress[]): Promise<void> {
    await this.#db.transaction().execute(async (tx) => {
      await tx.insertInto("rollouts").values(rolloutRow(rollout)).execute();
      for (const member of progress)
        await tx.insertInto("rollout_devices").values(memberRow(rollout.id, member)).execute();
    });
  }

  async save(rollout: StoredRollout, progress: readonly StoredProgress[]): Promise<void> {
    await this.#db.transaction().execute(async (tx) => {
      const { id, ...columns } = rolloutRow(rollout);
      await tx.updateTable("rollouts").set(columns).where("id", "=", id).execute();
      const kept = new Set(progress.map(({ device }) => device));
      const stored = await tx.selectFrom("rollout_devices").select("device").where("rollout_id", "=", id).execute();
      for (const { device } of stored.filter((row) => !kept.has(row.device))) {
        await tx.deleteFrom("rollout_devices").where("rollout_id", "=", id).where("device", "=", device).execute();
      }
      for (const member of progress) {
        const { rollout_id, device, ...values } = memberRow(id, member);
        await tx
          .insertInto("rollout_devices")
          .values({ rollout_id, device, ...values })
          .onConflict((conflict) => conflict.columns(["rollout_id", "device"]).doUpdateSet(values))
          .execute();
      }
    });
  }

  async find(id: string): Promise<{ rollout: StoredRollout; progress: StoredProgress[] } | undefined> {
    const row = await this.#db.selectFrom("rollouts").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined) return undefined;
    const members = await this.#db
      .selectFrom("rollout_devices")
      .selectAll()
      .where("rollout_id", "=", id)
      .orderBy("device")
      .execute();
    return { rollout: readRollout(row), progress: members.map(readMember) };
  }

  /** Ids and selectors, newest first; only those started before a rollout, when it is given. Throws `rollout/unknown`. */
  async page(limit: number, before?: string): Promise<{ id: string; selector: string }[]> {
    let query = this.#db.selectFrom("rollouts").select(["id", "selector"]).limit(limit);
    if (before !== undefined) {
      const from = await this.#createdMs(before);
      query = query.where(({ eb, or, and }) =>
        or([eb("created_ms", "<", from), and([eb("created_ms", "=", from), eb("id", "<", before)])]),
      );
    }
    return query.orderBy("created_ms", "desc").orderBy("id", "desc").execute();
  }

  /** How many rollouts have not ended. */
  async activeCount(): Promise<number> {
    const row = await this.#db
      .selectFrom("rollouts")
      .select(({ fn }) => fn.countAll().as("count"))
      .where("state", "in", [...activeStates])
      .executeTakeFirst();
    return Number(row?.count ?? 0);
  }

  async #createdMs(id: string): Promise<number> {
    const query = this.#db.selectFrom("rollouts").select("created_ms").where("id", "=", id);
    const row = await query.executeTakeFirst();
    if (row === undefined) throw new MusterError("rollout/unknown", `no rollout ${id} to go on from`);
    return row.created_ms;
  }

  /** Rollouts that may still change: active ones, and ended ones that wait for devices to return. */
  async openIds(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom("rollouts")
      .select(["id", "state"])
      .where((where) =>
        where.or([
          where("state", "not in", ["completed", "completed-with-failures", "rolled-back"]),
          where.exists(
            where
              .selectFrom("rollout_devices")
              .select("device")
              .whereRef("rollout_id", "=", "rollouts.id")
              .where("rollout_devices.state", "in", ["laggard", "offered", "started"]),
          ),
        ]),
      )
      .orderBy("created_ms")
      .execute();
    return rows.map(({ id }) => id);
  }

  /** Whether a rollout ever brought a version to a device; a rollout from before the version was pushed meant another. */
  async wasOffered(
    device: string,
    { model, version, pushedMs }: { readonly model: string; readonly version: string; readonly pushedMs: number },
  ): Promise<boolean> {
    const row = await this.#db
      .selectFrom("rollout_devices")
      .innerJoin("rollouts", "rollouts.id", "rollout_devices.rollout_id")
      .select("rollouts.id")
      .where("rollout_devices.device", "=", device)
      .where("rollouts.model", "=", model)
      .where("rollouts.version", "=", version)
      .where("rollouts.created_ms", ">=", pushedMs)
      .where((where) => where.or([where("rollout_devices.state", "!=", "waiting"), where("tries", ">", 0)]))
      .executeTakeFirst();
    return row !== undefined;
  }

  /** The devices that an active rollout of the model works on, and which one that is. */
  async busyDevices(model: string): Promise<Map<string, string>> {
    const rows = await this.#db
      .selectFrom("rollout_devices")
      .innerJoin("rollouts", "rollouts.id", "rollout_devices.rollout_id")
      .select(["rollout_devices.device", "rollouts.id", "rollouts.state"])
      .where("rollouts.model", "=", model)
      .execute();
    return new Map(
      rows.filter(({ state }) => isActive(state as StoredRollout["state"])).map(({ device, id }) => [device, id]),
    );
  }
}

function rolloutRow(rollout: StoredRollout): Tables["rollouts"] {
  return {
    id: rollout.id,
    model: rollout.model,
    version: rollout.version,
    selector: rollout.selector,
    state: rollout.state,
    reason: rollout.reason ?? null,
    settings: JSON.stringify(rollout.settings),
    waves: JSON.stringify(rollout.waves),
    created_ms: rollout.createdMs,
    changed_ms: rollout.changedMs,
  };
}

function readRollout(row: Tables["rollouts"]): StoredRollout {
  return {
    id: row.id,
    model: row.model,
    version: row.version,
    selector: row.selector,
    state: row.state as StoredRollout["state"],
    ...(row.reason === null ? {} : { reason: row.reason }),
    // A rollout of an older hub lacks the settings that came since.
    settings: RolloutSettings.parse(JSON.parse(row.settings)),
    waves: JSON.parse(row.waves) as StoredRollout["waves"],
    createdMs: row.created_ms,
    changedMs: row.changed_ms,
  };
}

function memberRow(id: string, member: StoredProgress): Tables["rollout_devices"] {
  return {
    rollout_id: id,
    device: member.device,
    wave: member.wave,
    state: member.state,
    tries: member.tries,
    previous: member.previous === undefined ? null : JSON.stringify(member.previous),
    offered_ms: member.offeredMs ?? null,
    started_ms: member.startedMs ?? null,
    error: member.error === undefined ? null : JSON.stringify(member.error),
  };
}

function readMember(row: Tables["rollout_devices"]): StoredProgress {
  return {
    device: row.device,
    wave: row.wave,
    state: row.state as StoredProgress["state"],
    tries: row.tries,
    previous: row.previous === null ? undefined : (JSON.parse(row.previous) as Wanted),
    ...(row.offered_ms === null ? {} : { offeredMs: row.offered_ms }),
    ...(row.started_ms === null ? {} : { startedMs: row.started_ms }),
    ...(row.error === null ? {} : { error: JSON.parse(row.error) as NonNullable<StoredProgress["error"]> }),
  };
}
