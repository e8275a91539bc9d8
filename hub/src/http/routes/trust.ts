import { AdoptRoot, PreparedKey, PrepareKey, TrustView } from "@muster/shared";
import type { DesiredDocuments } from "../../desired.js";
import type { Trust } from "../../trust.js";
import type { App } from "../server.js";

/** /v1/trust: the keys of the fleet. */
export function trustRoutes(app: App, trust: Trust, desired: DesiredDocuments): void {
  app.get("/v1/trust", { schema: { summary: "Show whom the fleet trusts", response: { 200: TrustView } } }, async () =>
    trust.view(),
  );
  app.post(
    "/v1/trust/keys",
    { schema: { summary: "Make a key for the next root", body: PrepareKey, response: { 201: PreparedKey } } },
    async ({ body }, reply) => reply.status(201).send(await trust.prepare(body.role)),
  );
  app.post(
    "/v1/trust/roots",
    { schema: { summary: "Adopt the next root", body: AdoptRoot, response: { 200: TrustView } } },
    async ({ body }) => {
      const view = await trust.adopt(body.envelope);
      await desired.resendAll();
      return view;
    },
  );
}
