import {
  ExplainQuery,
  MusterError,
  Rollout,
  RolloutAction,
  RolloutExplanation,
  RolloutList,
  RolloutPlan,
  RolloutQuery,
  StartRollout,
} from "@muster/shared";
import { z } from "zod";
import type { Audit } from "../../audit.js";
import { type Actor, coveredBy, narrowed } from "../../core/permission.js";
import type { Rollouts } from "../../rollouts.js";
import type { App } from "../server.js";

const ById = z.strictObject({ id: z.string().max(64) });

/** /v1/rollouts. A scope cuts down whom a rollout reaches; others' rollouts stay out of sight. */
export function rolloutRoutes(app: App, rollouts: Rollouts, audit: Audit): void {
  const read = { action: "read" } as const;
  const write = { action: "rollout.write" } as const;
  const scoped = ({ scope }: Actor, body: StartRollout) => ({ ...body, selector: narrowed(scope, body.selector) });
  const visible =
    ({ scope }: Actor) =>
    (selector: string) =>
      coveredBy(scope, selector);
  const find = async (actor: Actor, id: string) => {
    const rollout = await rollouts.get(id);
    if (visible(actor)(rollout.selector)) return rollout;
    throw new MusterError("access/denied", `rollout ${id} reaches beyond '${actor.scope}'`);
  };
  const stateOf = ({ state, reason }: Rollout) => ({ state, reason });
  app.post(
    "/v1/rollouts/plan",
    {
      config: read,
      schema: { summary: "Show who would get a version", body: StartRollout, response: { 200: RolloutPlan } },
    },
    async ({ body, actor }) => rollouts.plan(scoped(actor, body)),
  );
  app.post(
    "/v1/rollouts",
    { config: write, schema: { summary: "Start a rollout", body: StartRollout, response: { 201: Rollout } } },
    async ({ body, actor }, reply) => {
      const request = scoped(actor, body);
      const change = { action: "rollout.start", subject: `${body.model} ${body.version}`, after: () => request };
      return reply.status(201).send(await audit.change(actor, change, () => rollouts.start(request)));
    },
  );
  app.get(
    "/v1/rollouts",
    {
      config: read,
      schema: {
        summary: "List rollouts, newest first, page by page",
        querystring: RolloutQuery,
        response: { 200: RolloutList },
      },
    },
    async ({ query, actor }) => rollouts.list(query, visible(actor)),
  );
  app.get(
    "/v1/rollouts/:id",
    { config: read, schema: { summary: "Show a rollout", params: ById, response: { 200: Rollout } } },
    async ({ params, actor }) => find(actor, params.id),
  );
  app.get(
    "/v1/rollouts/:id/explain",
    {
      config: read,
      schema: {
        summary: "Explain why a rollout is where it is, what it waits for and what happens next",
        params: ById,
        querystring: ExplainQuery,
        response: { 200: RolloutExplanation },
      },
    },
    async ({ params, query, actor }) => {
      await find(actor, params.id);
      return rollouts.explain(params.id, query);
    },
  );
  app.post(
    "/v1/rollouts/:id/:action",
    {
      config: write,
      schema: {
        summary: "Pause, resume or halt a rollout",
        params: ById.extend({ action: RolloutAction }),
        response: { 200: Rollout },
      },
    },
    async ({ params: { id, action }, actor }) => {
      const before = await find(actor, id);
      const change = { action: `rollout.${action}`, subject: id, before: async () => stateOf(before), after: stateOf };
      return audit.change(actor, change, () => rollouts.act(id, action));
    },
  );
}
