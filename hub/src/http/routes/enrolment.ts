import { JoinReply, JoinRequest } from "@muster/shared";
import type { Enrolment } from "../../enrolment.js";
import type { App } from "../server.js";

/** POST /join, on a listener of its own: the only thing a machine without a certificate can do. */
export function enrolmentRoutes(app: App, enrolment: Enrolment): void {
  app.post(
    "/join",
    { bodyLimit: 64 * 1024, schema: { summary: "Join the fleet", body: JoinRequest, response: { 200: JoinReply } } },
    async ({ body, ip }) => enrolment.join(body, ip),
  );
}
