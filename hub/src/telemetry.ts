import {
  addCounts,
  type Clock,
  type LatencyRow,
  mergeSketches,
  type SketchData,
  type Stage,
  stages,
  type TelemetryQuery,
  type Window,
} from "@muster/shared";
import type { Devices } from "./devices.js";
import type { Database } from "./store/sql.js";
import type { Tables } from "./store/tables.js";

type Body = Pick<Window, "classes" | "stages" | "features" | "rssBytes" | "shadow">;

/** What devices measured, in windows that merge exactly. */
export class Telemetry {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #devices: Devices;

  constructor(db: Database, clock: Clock, devices: Devices) {
    this.#db = db;
    this.#clock = clock;
    this.#devices = devices;
  }

  /** Stores windows out of a device's spool; those stored before are left as they are. */
  async take(device: string, stream: string, windows: readonly Window[]): Promise<void> {
    const rows = windows.map((window): Tables["windows"] => ({
      device,
      stream,
      seq: window.seq,
      model: window.model,
      version: window.version,
      manifest: window.manifest,
      provider: window.provider,
      start_ms: window.startMs,
      end_ms: window.endMs,
      inputs: window.inputs,
      errors: window.errors,
      dropped: window.dropped,
      body: JSON.stringify({
        classes: window.classes,
        stages: window.stages,
        features: window.features,
        rssBytes: window.rssBytes,
        ...(window.shadow === undefined ? {} : { shadow: window.shadow }),
      } satisfies Body),
    }));
    await this.#db
      .insertInto("windows")
      .values(rows)
      .onConflict((conflict) => conflict.columns(["device", "stream", "seq"]).doNothing())
      .execute();
  }

  /** Latency percentiles per stage, throughput and class counts: a row per device and version, or per version. */
  async latency(query: TelemetryQuery): Promise<LatencyRow[]> {
    let select = this.#db
      .selectFrom("windows")
      .selectAll()
      .where("end_ms", ">", this.#clock.now() - query.lastMs);
    if (query.model !== undefined) select = select.where("model", "=", query.model);
    if (query.version !== undefined) select = select.where("version", "=", query.version);
    if (query.device !== undefined) select = select.where("device", "=", query.device);
    const selected =
      query.selector === undefined
        ? undefined
        : new Set((await this.#devices.list(query.selector)).map(({ id }) => id));
    const groups = new Map<string, Tables["windows"][]>();
    for (const row of await select.orderBy("end_ms").execute()) {
      if (selected !== undefined && !selected.has(row.device)) continue;
      const key = JSON.stringify([row.model, row.version, query.by === "device" ? row.device : null, row.provider]);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [row]);
      else group.push(row);
    }
    return [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rows]) => latencyRow(rows, query.by));
  }

  /** Feature counts of a device's inputs to one version since a time, and how many inputs those were. */
  async featureCounts(
    device: string,
    manifest: string,
    sinceMs: number,
  ): Promise<{ inputs: number; counts: Record<string, number[]> }> {
    const rows = await this.#db
      .selectFrom("windows")
      .select(["inputs", "body"])
      .where("device", "=", device)
      .where("manifest", "=", manifest)
      .where("end_ms", ">", sinceMs)
      .execute();
    const counts: Record<string, number[]> = {};
    for (const { body } of rows) {
      for (const [feature, more] of Object.entries((JSON.parse(body) as Body).features)) {
        counts[feature] = addCounts(counts[feature] ?? [], more);
      }
    }
    return { inputs: rows.reduce((sum, row) => sum + row.inputs, 0), counts };
  }

  /** Deletes what is older than `keepMs`, then the oldest beyond `maxRows` of windows and of events; returns how many. */
  async prune(keepMs: number, maxRows: number): Promise<number> {
    const before = this.#clock.now() - keepMs;
    const old = await this.#db.deleteFrom("windows").where("end_ms", "<", before).executeTakeFirst();
    const oldEvents = await this.#db.deleteFrom("events").where("at_ms", "<", before).executeTakeFirst();
    const tooMany = await this.#beyond(maxRows);
    return Number(old.numDeletedRows) + Number(oldEvents.numDeletedRows) + tooMany;
  }

  async #beyond(maxRows: number): Promise<number> {
    const window = await this.#db
      .selectFrom("windows")
      .select("end_ms")
      .orderBy("end_ms", "desc")
      .offset(maxRows)
      .limit(1)
      .executeTakeFirst();
    const event = await this.#db
      .selectFrom("events")
      .select("id")
      .orderBy("id", "desc")
      .offset(maxRows)
      .limit(1)
      .executeTakeFirst();
    let deleted = 0;
    if (window !== undefined) {
      const result = await this.#db.deleteFrom("windows").where("end_ms", "<=", window.end_ms).executeTakeFirst();
      deleted += Number(result.numDeletedRows);
    }
    if (event !== undefined) {
      const result = await this.#db.deleteFrom("events").where("id", "<=", event.id).executeTakeFirst();
      deleted += Number(result.numDeletedRows);
    }
    return deleted;
  }
}

function latencyRow(rows: readonly Tables["windows"][], by: "device" | "version"): LatencyRow {
  const [first] = rows as [Tables["windows"], ...Tables["windows"][]];
  const sum = (of: (row: Tables["windows"]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const bodies = rows.map(({ body }) => JSON.parse(body) as Body);
  const classes: Record<string, number> = {};
  for (const body of bodies) {
    for (const [label, count] of Object.entries(body.classes)) classes[label] = (classes[label] ?? 0) + count;
  }
  // Windows of one device follow each other; those of several run side by side.
  const devices = new Set(rows.map(({ device }) => device)).size;
  const openMs = sum((row) => row.end_ms - row.start_ms) / devices;
  return {
    model: first.model,
    version: first.version,
    ...(by === "device" ? { device: first.device } : {}),
    provider: first.provider,
    inputs: sum((row) => row.inputs),
    errors: sum((row) => row.errors),
    dropped: sum((row) => row.dropped),
    perSecond: openMs === 0 ? 0 : (1000 * sum((row) => row.inputs)) / openMs,
    classes,
    ...agreement(bodies),
    stages: Object.fromEntries(stages.flatMap((stage) => percentiles(stage, bodies))),
  };
}

/** How often a version in the shadow gave the answers of the serving one. */
function agreement(bodies: readonly Body[]): Pick<LatencyRow, "shadow"> {
  const parts = bodies.flatMap(({ shadow }) => (shadow === undefined ? [] : [shadow]));
  if (parts.length === 0) return {};
  const sum = (of: "compared" | "agreed" | "skipped") => parts.reduce((total, part) => total + part[of], 0);
  return { shadow: { compared: sum("compared"), agreed: sum("agreed"), skipped: sum("skipped") } };
}

function percentiles(stage: Stage, bodies: readonly Body[]): [Stage, { p50: number; p95: number; p99: number }][] {
  const parts = bodies.map((body) => body.stages[stage]).filter((sketch): sketch is SketchData => sketch !== undefined);
  const merged = mergeSketches(parts);
  const [p50, p95, p99] = [merged.quantile(0.5), merged.quantile(0.95), merged.quantile(0.99)];
  return p50 === undefined || p95 === undefined || p99 === undefined ? [] : [[stage, { p50, p95, p99 }]];
}
