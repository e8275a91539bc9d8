import { AdoptRoot, PreparedKey, PrepareKey, TrustView } from "@muster/shared";
import type { Audit } from "../../audit.js";
import type { DesiredDocuments } from "../../desired.js";
import type { Trust } from "../../trust.js";
import type { App } from "../server.js";

/** /v1/trust: the keys of the fleet. */
export function trustRoutes(app: App, trust: Trust, desired: DesiredDocuments, audit: Audit): void {
  const write = { action: "trust.write" } as const;
  app.get(
    "/v1/trust",
    { config: { action: "read" }, schema: { summary: "Show whom the fleet trusts", response: { 200: TrustView } } },
    async () => trust.view(),
  );
  app.post(
    "/v1/trust/keys",
    {
      config: write,
      schema: { summary: "Make a key for the next root", body: PrepareKey, response: { 201: PreparedKey } },
    },
    async ({ body: { role }, actor }, reply) => {
      const change = { action: "trust.prepare", subject: role };
      return reply.status(201).send(await audit.change(actor, change, () => trust.prepare(role)));
    },
  );
  app.post(
    "/v1/trust/roots",
    { config: write, schema: { summary: "Adopt the next root", body: AdoptRoot, response: { 200: TrustView } } },
    async ({ body, actor }) => {
      const change = {
        ...{ action: "trust.adopt", subject: "root", before: async () => trust.chain().at(-1) },
        after: ({ chain }: TrustView) => chain.at(-1),
      };
      const view = await audit.change(actor, change, () => trust.adopt(body.envelope));
      await desired.resendAll();
      return view;
    },
  );
}
