import { ChangeLabels, CreateInvite, Device, DeviceId, DeviceList, Invite, RevokeCertificates } from "@muster/shared";
import { z } from "zod";
import type { Audit } from "../../audit.js";
import { type Actor, narrowed, requireInvitation, requireScope } from "../../core/permission.js";
import type { DeviceRecord, Devices } from "../../devices.js";
import type { Enrolment } from "../../enrolment.js";
import type { App } from "../server.js";

const ById = z.strictObject({ device: DeviceId });
const labelsOf = ({ labels }: Pick<Device, "labels">) => labels;

/** /v1/invites and /v1/devices. */
export function deviceRoutes(app: App, devices: Devices, enrolment: Enrolment, audit: Audit): void {
  const write = { action: "device.write" } as const;
  /** The device, if it lies in the scope of who asks; whether another is there at all is not told. */
  const scoped = async (actor: Actor, id: string): Promise<DeviceRecord> => {
    if (!devices.has(id)) requireScope(actor, id, {});
    const device = await devices.get(id);
    requireScope(actor, id, device.labels);
    return device;
  };
  app.post(
    "/v1/invites",
    { config: write, schema: { summary: "Invite a device", body: CreateInvite, response: { 201: Invite } } },
    async ({ body, actor }, reply) => {
      requireInvitation(actor, body.device ?? "", body.labels);
      if (body.again && body.device !== undefined) await scoped(actor, body.device);
      const change = { action: "device.invite", subject: body.device ?? "", after: () => body };
      return reply.status(201).send(await audit.change(actor, change, () => enrolment.invite(body, actor)));
    },
  );
  app.get(
    "/v1/devices",
    {
      config: { action: "read" },
      schema: {
        summary: "List devices",
        querystring: z.strictObject({ selector: z.string().max(1000).default("") }),
        response: { 200: DeviceList },
      },
    },
    async ({ query, actor }) => ({ devices: await devices.list(narrowed(actor.scope, query.selector)) }),
  );
  app.get(
    "/v1/devices/:device",
    {
      config: { action: "read" },
      schema: { summary: "Show a device", params: ById, response: { 200: Device } },
    },
    async ({ params, actor }) => {
      await scoped(actor, params.device);
      return enrolment.show(params.device);
    },
  );
  app.patch(
    "/v1/devices/:device/labels",
    {
      config: write,
      schema: { summary: "Change labels of a device", params: ById, body: ChangeLabels, response: { 200: Device } },
    },
    async ({ params, body, actor }) => {
      const before = await scoped(actor, params.device);
      const { labels } = devices.relabelled(before, body);
      requireScope(actor, params.device, labels);
      const change = {
        action: "device.label",
        subject: params.device,
        before: async () => before.labels,
        after: labelsOf,
      };
      return audit.change(actor, change, () => devices.label(params.device, body));
    },
  );
  app.post(
    "/v1/devices/:device/revoke",
    {
      config: write,
      schema: {
        summary: "Refuse certificates of a device from now on",
        params: ById,
        body: RevokeCertificates,
        response: { 200: Device },
      },
    },
    async ({ params, body, actor }) => {
      await scoped(actor, params.device);
      const change = {
        ...{ action: "device.revoke", subject: params.device },
        before: async () => (await enrolment.show(params.device)).certificates,
        after: ({ certificates }: Device) => certificates,
      };
      return audit.change(actor, change, () => enrolment.revoke(params.device, body));
    },
  );
  app.delete(
    "/v1/devices/:device",
    {
      config: write,
      schema: { summary: "Remove a device and what it measured", params: ById, response: { 204: z.null() } },
    },
    async ({ params, actor }, reply) => {
      const { labels } = await scoped(actor, params.device);
      const change = { action: "device.remove", subject: params.device, before: async () => labels };
      await audit.change(actor, change, () => enrolment.remove(params.device));
      return reply.status(204).send(null);
    },
  );
}
