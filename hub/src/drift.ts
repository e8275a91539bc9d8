import type { Clock, DriftQuery, DriftRow, Log } from "@muster/shared";
import type { Catalog } from "./catalog.js";
import { type FeatureDrift, measureDrift } from "./core/drift.js";
import type { Devices } from "./devices.js";
import type { EventLog } from "./events.js";
import type { Database } from "./store/sql.js";
import type { Telemetry } from "./telemetry.js";

export interface DriftDeps {
  readonly db: Database;
  readonly catalog: Catalog;
  readonly devices: Devices;
  readonly telemetry: Telemetry;
  readonly events: EventLog;
  readonly settings: { readonly clock: Clock; readonly log: Log; readonly horizonMs: number };
}

/** Watches how far the inputs of each device lie from what its model was made for. */
export class DriftWatch {
  readonly #deps: DriftDeps;

  constructor(deps: DriftDeps) {
    this.#deps = deps;
  }

  /** Measures one device's model again and notes in the event log what began or ended. Call it when windows came in. */
  async check(device: string, model: string, version: string): Promise<void> {
    const { db, events, settings } = this.#deps;
    const rows = await this.#measure(device, model, version);
    if (rows.features.every(({ threshold }) => threshold === undefined)) return;
    const known = await db
      .selectFrom("drifting")
      .selectAll()
      .where("device", "=", device)
      .where("model", "=", model)
      .execute();
    const nowMs = settings.clock.now();
    for (const { feature, psi, threshold, drifting } of rows.features) {
      const before = known.find((row) => row.feature === feature);
      if (drifting && before === undefined) {
        await db.insertInto("drifting").values({ device, model, version, feature, since_ms: nowMs, psi }).execute();
        await events.append(device, "drift.began", {
          model,
          version,
          feature,
          psi: round(psi),
          threshold: round(threshold),
        });
        settings.log.warn("drift.began", { device, model, feature, psi: round(psi), threshold: round(threshold) });
      }
      if (!drifting && threshold !== undefined && before !== undefined) {
        await db
          .deleteFrom("drifting")
          .where("device", "=", device)
          .where("model", "=", model)
          .where("feature", "=", feature)
          .execute();
        await events.append(device, "drift.ended", {
          model,
          version,
          feature,
          psi: round(psi),
          sinceMs: before.since_ms,
        });
      }
    }
  }

  /** The drift of every device and model that serves now. */
  async report({ model, device, selector }: DriftQuery): Promise<DriftRow[]> {
    const { db, devices } = this.#deps;
    const drifting = await db.selectFrom("drifting").selectAll().execute();
    const rows: DriftRow[] = [];
    for (const { id, reported } of await devices.list(selector ?? "")) {
      if (device !== undefined && device !== id) continue;
      for (const serving of reported?.models ?? []) {
        if (serving.serving === undefined || (model !== undefined && model !== serving.model)) continue;
        const { inputs, features } = await this.#measure(id, serving.model, serving.serving);
        if (features.length === 0) continue;
        rows.push({
          device: id,
          model: serving.model,
          version: serving.serving,
          inputs,
          features: features.map(({ threshold, ...feature }) => {
            const since = drifting.find(
              (row) => row.device === id && row.model === serving.model && row.feature === feature.feature,
            );
            return {
              ...feature,
              ...(threshold === undefined ? {} : { threshold }),
              ...(since === undefined || !feature.drifting ? {} : { sinceMs: since.since_ms }),
            };
          }),
        });
      }
    }
    return rows;
  }

  async #measure(
    device: string,
    model: string,
    version: string,
  ): Promise<{ inputs: number; features: FeatureDrift[] }> {
    const { catalog, telemetry, settings } = this.#deps;
    const found = await catalog.find(model, version);
    if (found === undefined) return { inputs: 0, features: [] };
    const sinceMs = settings.clock.now() - settings.horizonMs;
    const { inputs, counts } = await telemetry.featureCounts(device, found.manifestDigest, sinceMs);
    return { inputs, features: measureDrift(found.manifest.baseline, counts) };
  }
}

function round(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 1000) / 1000;
}
