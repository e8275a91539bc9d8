import { DriftQuery, DriftReport, EventList, EventQuery, LatencyReport, TelemetryQuery } from "@muster/shared";
import type { DriftWatch } from "../../drift.js";
import type { EventLog } from "../../events.js";
import type { Telemetry } from "../../telemetry.js";
import type { App } from "../server.js";

/** /v1/telemetry and /v1/drift. */
export function telemetryRoutes(app: App, telemetry: Telemetry, events: EventLog, drift: DriftWatch): void {
  app.get(
    "/v1/telemetry/latency",
    {
      schema: {
        summary: "Latency, throughput and classes",
        querystring: TelemetryQuery,
        response: { 200: LatencyReport },
      },
    },
    async ({ query }) => ({ rows: await telemetry.latency(query) }),
  );
  app.get(
    "/v1/telemetry/events",
    { schema: { summary: "What happened", querystring: EventQuery, response: { 200: EventList } } },
    async ({ query }) => ({ events: await events.list(query) }),
  );
  app.get(
    "/v1/drift",
    {
      schema: {
        summary: "Distance from the baseline per feature",
        querystring: DriftQuery,
        response: { 200: DriftReport },
      },
    },
    async ({ query }) => ({ rows: await drift.report(query) }),
  );
}
