import { Rollout, RolloutAction, RolloutList, RolloutPlan, StartRollout } from "@muster/shared";
import { z } from "zod";
import type { Rollouts } from "../../rollouts.js";
import type { App } from "../server.js";

const ById = z.strictObject({ id: z.string().max(64) });

/** /v1/rollouts. */
export function rolloutRoutes(app: App, rollouts: Rollouts): void {
  app.post(
    "/v1/rollouts/plan",
    { schema: { summary: "Show who would get a version", body: StartRollout, response: { 200: RolloutPlan } } },
    async ({ body }) => rollouts.plan(body),
  );
  app.post(
    "/v1/rollouts",
    { schema: { summary: "Start a rollout", body: StartRollout, response: { 201: Rollout } } },
    async ({ body }, reply) => reply.status(201).send(await rollouts.start(body)),
  );
  app.get(
    "/v1/rollouts",
    { schema: { summary: "List rollouts, newest first", response: { 200: RolloutList } } },
    async () => ({
      rollouts: await rollouts.list(),
    }),
  );
  app.get(
    "/v1/rollouts/:id",
    { schema: { summary: "Show a rollout", params: ById, response: { 200: Rollout } } },
    async ({ params }) => rollouts.get(params.id),
  );
  app.post(
    "/v1/rollouts/:id/:action",
    {
      schema: {
        summary: "Pause, resume or halt a rollout",
        params: ById.extend({ action: RolloutAction }),
        response: { 200: Rollout },
      },
    },
    async ({ params }) => rollouts.act(params.id, params.action),
  );
}
