import { EngineId, EngineList, EngineShare, ModelName, SharedEngine, ShareEngine, SignEngine } from "@muster/shared";
import { z } from "zod";
import type { Audit } from "../../audit.js";
import type { EngineSharing, Recorded } from "../../engine-sharing.js";
import type { App } from "../server.js";

/** /v1/engines. Who may publish models to the whole fleet may share engines, which run in place of them without a rollout. */
export function engineRoutes(app: App, sharing: EngineSharing, audit: Audit): void {
  const write = { action: "engine.write" } as const;
  /** What is recorded of an engine is what is signed. */
  const signed = (subject: string) => ({
    ...{ action: "engine.sign", subject },
    after: ({ artifact, engineClass, files }: SharedEngine) => ({ artifact, engineClass, files }),
  });
  app.get(
    "/v1/engines",
    {
      config: { action: "read" },
      schema: {
        summary: "List engines that are shared and those that devices hold",
        querystring: z.strictObject({ model: ModelName.optional() }),
        response: { 200: EngineList },
      },
    },
    async ({ query, actor }) => sharing.list(actor.scope, query.model),
  );
  app.post(
    "/v1/engines",
    {
      config: write,
      schema: {
        summary: "Begin to share the engine that a device built of the version it runs",
        body: ShareEngine,
        response: { 202: EngineShare },
      },
    },
    async ({ body, actor }, reply) => {
      const subject = `${body.model} ${body.version} ${body.device}`;
      const record: Recorded = (of, make) => audit.change(actor, signed(of), make);
      const change = { action: "engine.share", subject, after: () => body };
      return reply.status(202).send(await audit.change(actor, change, () => sharing.begin(body, record)));
    },
  );
  app.get(
    "/v1/engines/shares/:id",
    {
      config: write,
      schema: {
        summary: "Show how far a sharing has come",
        params: z.strictObject({ id: z.string().max(64) }),
        response: { 200: EngineShare },
      },
    },
    async ({ params }) => sharing.share(params.id),
  );
  app.delete(
    "/v1/engines/shares/:id",
    {
      config: write,
      schema: {
        summary: "End a sharing while it fetches; files that came whole are kept for a day",
        params: z.strictObject({ id: z.string().max(64) }),
        response: { 204: z.null() },
      },
    },
    async ({ params: { id }, actor }, reply) => {
      await audit.change(actor, { action: "engine.cancel", subject: id, after: () => null }, () => sharing.cancel(id));
      return reply.status(204).send(null);
    },
  );
  app.post(
    "/v1/engines/sign",
    {
      config: write,
      schema: {
        summary: "Share a prepared engine with its signature, made outside of the hub",
        body: SignEngine,
        response: { 201: SharedEngine },
      },
    },
    async ({ body, actor }, reply) => {
      const { id } = await sharing.prepared(body.envelope);
      return reply.status(201).send(await audit.change(actor, signed(id), () => sharing.sign(body.envelope)));
    },
  );
  app.delete(
    "/v1/engines/:id",
    {
      config: write,
      schema: {
        summary: "Take a shared engine back, and its bytes; devices that have it keep it",
        params: z.strictObject({ id: EngineId }),
        response: { 204: z.null() },
      },
    },
    async ({ params: { id }, actor }, reply) => {
      const before = async () => (await sharing.get(id)).engine;
      await audit.change(actor, { action: "engine.remove", subject: id, before, after: () => null }, () =>
        sharing.remove(id),
      );
      return reply.status(204).send(null);
    },
  );
}
