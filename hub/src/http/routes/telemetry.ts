import { DriftQuery, DriftReport, EventList, EventQuery, LatencyReport, TelemetryQuery } from "@muster/shared";
import { type Actor, narrowed } from "../../core/permission.js";
import type { Devices } from "../../devices.js";
import type { DriftWatch } from "../../drift.js";
import type { EventLog } from "../../events.js";
import type { Telemetry } from "../../telemetry.js";
import type { App } from "../server.js";

export interface TelemetryRooms {
  readonly telemetry: Telemetry;
  readonly events: EventLog;
  readonly drift: DriftWatch;
  readonly devices: Devices;
}

/** /v1/telemetry and /v1/drift. */
export function telemetryRoutes(app: App, { telemetry, events, drift, devices }: TelemetryRooms): void {
  const scoped = <Q extends { selector?: string | undefined }>({ scope }: Actor, query: Q): Q =>
    scope === "" ? query : { ...query, selector: narrowed(scope, query.selector ?? "") };
  app.get(
    "/v1/telemetry/latency",
    {
      config: { action: "read" },
      schema: {
        summary: "Latency, throughput and classes",
        querystring: TelemetryQuery,
        response: { 200: LatencyReport },
      },
    },
    async ({ query, actor }) => ({ rows: await telemetry.latency(scoped(actor, query)) }),
  );
  app.get(
    "/v1/telemetry/events",
    {
      config: { action: "read" },
      schema: { summary: "What happened", querystring: EventQuery, response: { 200: EventList } },
    },
    async ({ query, actor }) => {
      // Who has a part of the fleet sees what its devices did, and nothing of the hub or of other devices.
      if (actor.scope === "") return { events: await events.list(query) };
      const ids = (await devices.list(actor.scope)).map(({ id }) => id);
      return { events: await events.list(query, ids) };
    },
  );
  app.get(
    "/v1/drift",
    {
      config: { action: "read" },
      schema: {
        summary: "Distance from the baseline per feature",
        querystring: DriftQuery,
        response: { 200: DriftReport },
      },
    },
    async ({ query, actor }) => ({ rows: await drift.report(scoped(actor, query)) }),
  );
}
