import { ChangeLabels, CreateInvite, Device, DeviceId, DeviceList, Invite, RevokeCertificates } from "@muster/shared";
import { z } from "zod";
import type { Devices } from "../../devices.js";
import type { Enrolment } from "../../enrolment.js";
import type { App } from "../server.js";

const ById = z.strictObject({ device: DeviceId });

/** /v1/invites and /v1/devices. */
export function deviceRoutes(app: App, devices: Devices, enrolment: Enrolment): void {
  app.post(
    "/v1/invites",
    { schema: { summary: "Invite a device", body: CreateInvite, response: { 201: Invite } } },
    async ({ body }, reply) => reply.status(201).send(await enrolment.invite(body)),
  );
  app.get(
    "/v1/devices",
    {
      schema: {
        summary: "List devices",
        querystring: z.strictObject({ selector: z.string().max(1000).default("") }),
        response: { 200: DeviceList },
      },
    },
    async ({ query }) => ({ devices: await devices.list(query.selector) }),
  );
  app.get(
    "/v1/devices/:device",
    { schema: { summary: "Show a device", params: ById, response: { 200: Device } } },
    async ({ params }) => enrolment.show(params.device),
  );
  app.patch(
    "/v1/devices/:device/labels",
    { schema: { summary: "Change labels of a device", params: ById, body: ChangeLabels, response: { 200: Device } } },
    async ({ params, body }) => devices.label(params.device, body),
  );
  app.post(
    "/v1/devices/:device/revoke",
    {
      schema: {
        summary: "Refuse certificates of a device from now on",
        params: ById,
        body: RevokeCertificates,
        response: { 200: Device },
      },
    },
    async ({ params, body }) => enrolment.revoke(params.device, body),
  );
  app.delete(
    "/v1/devices/:device",
    { schema: { summary: "Remove a device and what it measured", params: ById, response: { 204: z.null() } } },
    async ({ params }, reply) => {
      await enrolment.remove(params.device);
      return reply.status(204).send(null);
    },
  );
}
