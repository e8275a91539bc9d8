import {
  AuditList,
  AuditQuery,
  AuditVerdict,
  ChangeUser,
  CreatedToken,
  CreateToken,
  CreateUser,
  Digest,
  TokenList,
  UserList,
  UserName,
  UserView,
  Whoami,
} from "@muster/shared";
import { z } from "zod";
import type { Access } from "../../access.js";
import type { Audit } from "../../audit.js";
import type { App } from "../server.js";

const ByName = z.strictObject({ name: UserName });
const ById = z.strictObject({ id: z.string().max(64) });

/** /v1/whoami, /v1/users, /v1/tokens and /v1/audit. */
export function accessRoutes(app: App, access: Access, audit: Audit): void {
  const write = { action: "access.write" } as const;
  const auditRead = { action: "audit.read" } as const;
  app.get(
    "/v1/whoami",
    { config: { action: "read" }, schema: { summary: "Who asks, and what that allows", response: { 200: Whoami } } },
    async ({ actor: { user, token, roles, scope, expiresMs } }) => ({
      ...{ user, token, roles: [...roles], scope },
      ...(expiresMs === undefined ? {} : { expiresMs }),
    }),
  );
  app.get("/v1/users", { config: write, schema: { summary: "List users", response: { 200: UserList } } }, async () => ({
    users: await access.users(),
  }));
  app.post(
    "/v1/users",
    { config: write, schema: { summary: "Add a user", body: CreateUser, response: { 201: UserView } } },
    async ({ body, actor }, reply) => {
      const change = { action: "user.add", subject: body.name };
      return reply.status(201).send(await audit.change(actor, change, () => access.addUser(body)));
    },
  );
  app.patch(
    "/v1/users/:name",
    {
      config: write,
      schema: { summary: "Change a user", params: ByName, body: ChangeUser, response: { 200: UserView } },
    },
    async ({ params: { name }, body, actor }) => {
      const change = { action: "user.change", subject: name, before: () => access.user(name) };
      return audit.change(actor, change, () => access.changeUser(name, body));
    },
  );
  app.delete(
    "/v1/users/:name",
    { config: write, schema: { summary: "Remove a user and its tokens", params: ByName, response: { 204: z.null() } } },
    async ({ params: { name }, actor }, reply) => {
      const change = { action: "user.remove", subject: name, before: () => access.user(name) };
      await audit.change(actor, change, () => access.removeUser(name));
      return reply.status(204).send(null);
    },
  );
  app.get(
    "/v1/tokens",
    { config: write, schema: { summary: "List API tokens", response: { 200: TokenList } } },
    async () => ({ tokens: await access.tokens() }),
  );
  app.post(
    "/v1/tokens",
    {
      config: write,
      schema: {
        summary: "Make an API token; its secret is shown only in this answer",
        body: CreateToken,
        response: { 201: CreatedToken },
      },
    },
    async ({ body, actor }, reply) => {
      const after = ({ secret: _, ...view }: CreatedToken) => view;
      const change = { action: "token.create", subject: body.user, after };
      return reply.status(201).send(await audit.change(actor, change, () => access.createToken(body)));
    },
  );
  app.delete(
    "/v1/tokens/:id",
    { config: write, schema: { summary: "Revoke an API token", params: ById, response: { 204: z.null() } } },
    async ({ params: { id }, actor }, reply) => {
      const change = { action: "token.revoke", subject: id, before: () => access.token(id) };
      await audit.change(actor, change, () => access.revokeToken(id));
      return reply.status(204).send(null);
    },
  );
  app.get(
    "/v1/audit",
    {
      config: auditRead,
      schema: { summary: "List what was changed, and by whom", querystring: AuditQuery, response: { 200: AuditList } },
    },
    async ({ query }) => ({ entries: await audit.list(query) }),
  );
  app.get(
    "/v1/audit/verify",
    {
      config: auditRead,
      schema: {
        summary: "Walk the audit log and say whether it is whole",
        querystring: z.strictObject({ head: Digest.optional() }),
        response: { 200: AuditVerdict },
      },
    },
    async ({ query }) => audit.verify(query.head),
  );
}
