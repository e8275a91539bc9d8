import { HubStatus } from "@muster/shared";
import type { App } from "../server.js";

/** GET /healthz, /v1/status and /openapi.json. */
export function statusRoutes(app: App, status: () => Promise<HubStatus>): void {
  app.get("/healthz", { config: { open: true }, schema: { hide: true } }, async () => ({ ok: true }));
  app.get("/openapi.json", { config: { open: true }, schema: { hide: true } }, async () => app.swagger());
  app.get(
    "/v1/status",
    { config: { action: "read" }, schema: { summary: "What the hub is and holds", response: { 200: HubStatus } } },
    () => status(),
  );
}
