import assert from "node:assert/strict";
import { request } from "node:http";
import { type TestContext, test } from "node:test";
import { ApiError, CreateToken, generateSigningKey, seal, UserRole } from "@muster/shared";
import { Access } from "../access.js";
import { Audit } from "../audit.js";
import { type Action, may } from "../core/permission.js";
import type { Database } from "../store/sql.js";
import { rooms, silent } from "../testing/hub-rooms.js";
import { Gate } from "./gate.js";
import { accessRoutes } from "./routes/access.js";
import { deviceRoutes } from "./routes/devices.js";
import { engineRoutes } from "./routes/engines.js";
import { modelRoutes } from "./routes/models.js";
import { rolloutRoutes } from "./routes/rollouts.js";
import { statusRoutes } from "./routes/status.js";
import { telemetryRoutes } from "./routes/telemetry.js";
import { trustRoutes } from "./routes/trust.js";
import { type App, listenHttp, newServer } from "./server.js";

type Routes = [route: string, action: string][];

/** A real server with the hub's routes; rooms that no test asks are not there. */
async function served(t: TestContext, more: (app: App) => void = () => undefined) {
  const { db, clock, devices } = await rooms();
  const access = new Access(db, clock);
  await access.admit("first-token");
  const audit = await Audit.open(db, clock, silent);
  const gate = new Gate({ access, audit, clock, log: silent });
  const app = await newServer({ title: "test", version: "0", gate, log: silent });
  const routes: Routes = [];
  app.addHook("onRoute", ({ method, url, config }) => {
    const action = config?.action ?? "open";
    if (method !== "HEAD" || url.includes("uploads")) routes.push([`${String(method)} ${url}`, action]);
  });
  const none = {} as never;
  statusRoutes(app, none);
  deviceRoutes(app, devices, none, audit);
  modelRoutes(app, { catalog: none, publishing: none, encodings: none, removal: none, audit }, 1000);
  engineRoutes(app, none, audit);
  rolloutRoutes(app, none, audit);
  trustRoutes(app, none, none, audit);
  telemetryRoutes(app, { telemetry: none, events: none, drift: none, devices });
  accessRoutes(app, access, audit);
  more(app);
  const url = await listenHttp(app, "127.0.0.1", 0, "a test");
  t.after(() => app.close());
  const ask = async (method: string, path: string, token?: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === "" ? undefined : JSON.parse(text);
    return { status: response.status, headers: response.headers, answer };
  };
  const tokenOf = async (role: UserRole, scope = "") => {
    const name = `${role}-${await count(db)}`;
    await access.addUser({ name, role, scope });
    return (await access.createToken(CreateToken.parse({ user: name }))).secret;
  };
  return { db, clock, access, audit, routes, ask, tokenOf, url };
}

async function count(db: Database): Promise<number> {
  return (await db.selectFrom("users").select("name").execute()).length;
}

const messageOf = (answer: unknown) => ApiError.parse(answer).error.message;

test("every route says what it does", async (t) => {
  const { routes } = await served(t);
  assert.deepEqual(Object.fromEntries(routes), {
    "GET /healthz": "open",
    "GET /openapi.json": "open",
    "GET /v1/status": "read",
    "GET /v1/whoami": "read",
    "POST /v1/invites": "device.write",
    "GET /v1/devices": "read",
    "GET /v1/devices/:device": "read",
    "POST /v1/devices/:device/revoke": "device.write",
    "PATCH /v1/devices/:device/labels": "device.write",
    "DELETE /v1/devices/:device": "device.write",
    "HEAD /v1/uploads/:digest": "model.write",
    "PUT /v1/uploads/:digest": "model.write",
    "POST /v1/models": "model.write",
    "POST /v1/models/republish": "model.write",
    "POST /v1/drafts": "model.write",
    "POST /v1/drafts/republish": "model.write",
    "POST /v1/drafts/sign": "model.write",
    "GET /v1/models": "read",
    "GET /v1/models/:model/versions/:version/manifest": "read",
    "GET /v1/models/:model/versions/:version": "read",
    "DELETE /v1/models/:model/versions/:version": "model.write",
    "GET /v1/engines": "read",
    "POST /v1/engines": "engine.write",
    "GET /v1/engines/shares/:id": "engine.write",
    "DELETE /v1/engines/shares/:id": "engine.write",
    "POST /v1/engines/sign": "engine.write",
    "DELETE /v1/engines/:id": "engine.write",
    "POST /v1/rollouts/plan": "read",
    "POST /v1/rollouts": "rollout.write",
    "GET /v1/rollouts": "read",
    "GET /v1/rollouts/:id": "read",
    "GET /v1/rollouts/:id/explain": "read",
    "POST /v1/rollouts/:id/:action": "rollout.write",
    "GET /v1/telemetry/latency": "read",
    "GET /v1/telemetry/events": "read",
    "GET /v1/drift": "read",
    "GET /v1/trust": "read",
    "POST /v1/trust/keys": "trust.write",
    "POST /v1/trust/roots": "trust.write",
    "POST /v1/users": "access.write",
    "GET /v1/users": "access.write",
    "PATCH /v1/users/:name": "access.write",
    "DELETE /v1/users/:name": "access.write",
    "POST /v1/tokens": "access.write",
    "GET /v1/tokens": "access.write",
    "DELETE /v1/tokens/:id": "access.write",
    "GET /v1/audit": "audit.read",
    "GET /v1/audit/verify": "audit.read",
  });
});

test("it is the matched route that is guarded, however its URL is written", async (t) => {
  const { db, url } = await served(t);
  const { hostname, port } = new URL(url);
  for (const path of ["/%761/users", "/v%31/users", `${url}/v1/users`, "/v1/%75sers"]) {
    for (const method of ["GET", "POST", "HEAD"]) {
      const body = JSON.stringify({ name: "mallory", role: "admin" });
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const headers = method === "POST" ? { "content-type": "application/json", "content-length": body.length } : {};
        const sent = request({ host: hostname, port, method, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.once("error", reject);
        sent.end(method === "POST" ? body : undefined);
      });
      assert.ok(status === 401 || status === 404 || status === 400, `${method} ${path}: ${status}`);
    }
  }
  const names = (await db.selectFrom("users").select("name").execute()).map(({ name }) => name);
  assert.deepEqual(names, ["admin"]);
});

test("a route that declares no action does not even start", async (t) => {
  const forgotten = (app: App) => void app.get("/v1/forgotten", async () => ({}));
  await assert.rejects(served(t, forgotten), /GET \/v1\/forgotten does not say what it does/);
});

test("every route refuses each role that may not, with the reason, and whoever has no token", async (t) => {
  const { routes, ask, tokenOf, audit } = await served(t);
  let refused = 0;
  for (const role of UserRole.options) {
    const token = await tokenOf(role);
    for (const [route, action] of routes.filter(([, needed]) => needed !== "open")) {
      const [method = "", pattern = ""] = route.split(" ");
      if (may({ roles: [role] }, action as Action)) continue;
      const path = pattern.replace(":device", "a").replace(/:\w+/g, "x");
      const { status, answer } = await ask(method, path, token);
      assert.equal(status, 403, `${role}: ${route}`);
      if (method !== "HEAD") assert.match(messageOf(answer), / is \w+; [a-z.]+ needs /);
      refused += 1;
    }
  }
  assert.ok(refused > 30);
  const entries = await audit.list({ limit: 1000 });
  assert.equal(entries.filter(({ outcome }) => outcome === "refused").length, refused);
  for (const [route, action] of routes) {
    const [method = "", path = ""] = route.split(" ");
    if (action !== "open") assert.equal((await ask(method, path)).status, 401, route);
  }
  assert.equal((await ask("GET", "/openapi.json")).status, 200);
  assert.equal((await ask("GET", "/healthz")).status, 200);
});

test("wrong tokens are slowed by address, a right one works all the same", async (t) => {
  const { clock, ask } = await served(t);
  const statuses: number[] = [];
  for (let at = 0; at < 12; at += 1) statuses.push((await ask("GET", "/v1/whoami", `wrong-${at}`)).status);
  assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429]);
  const slowed = await ask("GET", "/v1/whoami", "wrong");
  assert.equal(slowed.headers.get("retry-after"), "1");
  assert.equal(ApiError.parse(slowed.answer).error.code, "access/too-many-attempts");
  assert.equal((await ask("GET", "/v1/whoami")).status, 401, "no token is no guess");
  assert.deepEqual((await ask("GET", "/v1/whoami", "first-token")).status, 200);
  clock.advance(60_000);
  assert.equal((await ask("GET", "/v1/whoami", "wrong")).status, 401);
});

test("whoami tells user, role, scope and expiry", async (t) => {
  const { ask, tokenOf, clock } = await served(t);
  const { answer } = await ask("GET", "/v1/whoami", await tokenOf("operator", "site=lyon"));
  const { token: _, ...me } = answer as Record<string, unknown>;
  const expiresMs = clock.now() + 90 * 86_400_000;
  assert.deepEqual(me, { user: "operator-1", roles: ["operator"], scope: "site=lyon", expiresMs });
});

test("engines are shared, signed and taken back for the whole fleet only: they reach all of a class without a rollout", async (t) => {
  const { ask, tokenOf } = await served(t);
  const [part, whole] = [await tokenOf("publisher", "site=lyon"), await tokenOf("publisher")];
  const share = { model: "m", version: "1", device: "a" };
  const envelope = seal("t", Buffer.from("{}"), [generateSigningKey()]);
  const calls: [string, string, unknown?][] = [
    ["POST", "/v1/engines", share],
    ["POST", "/v1/engines/sign", { envelope }],
    ["GET", "/v1/engines/shares/s-1"],
    ["DELETE", "/v1/engines/shares/s-1"],
    ["DELETE", "/v1/engines/e-65aa3c10d2f07b91"],
  ];
  for (const [method, path, body] of calls) {
    const { status, answer } = await ask(method, path, part, body);
    assert.deepEqual([status, ApiError.parse(answer).error.code], [403, "access/denied"], `${method} ${path}`);
    assert.match(messageOf(answer), /with the scope 'site=lyon'; it needs publisher or admin without a scope/);
    const other = await ask(method, path, whole, body);
    assert.equal(other.status, 500, `${method} ${path}: which no room is there to do in this test`);
  }
});

test("users and tokens over the API: made, changed, closed, and each change in the audit log", async (t) => {
  const { ask, audit } = await served(t);
  const admin = (method: string, path: string, body?: unknown) => ask(method, path, "first-token", body);
  assert.equal((await admin("POST", "/v1/users", { name: "ann", role: "viewer" })).status, 201);
  assert.equal((await admin("POST", "/v1/users", { name: "ann", role: "viewer" })).status, 409);
  const made = (await admin("POST", "/v1/tokens", { user: "ann" })).answer as { id: string; secret: string };
  assert.equal((await ask("GET", "/v1/devices", made.secret)).status, 200);
  assert.equal((await admin("PATCH", "/v1/users/ann", { disabled: true })).status, 200);
  assert.equal((await ask("GET", "/v1/devices", made.secret)).status, 401);
  assert.ok(!JSON.stringify((await admin("GET", "/v1/tokens")).answer).includes(made.secret));
  assert.equal((await admin("DELETE", `/v1/tokens/${made.id}`)).status, 204);
  assert.equal((await admin("DELETE", "/v1/users/ann")).status, 204);
  const last = await admin("DELETE", "/v1/users/admin");
  assert.deepEqual([last.status, ApiError.parse(last.answer).error.code], [409, "user/last-admin"]);
  const entries = await audit.list({ limit: 10 });
  assert.deepEqual(
    entries.map(({ actor, action, before, after }) => [actor, action, before !== null, after !== null]),
    [
      ["admin", "user.add", false, true],
      ["admin", "token.create", false, true],
      ["admin", "user.change", true, true],
      ["admin", "token.revoke", true, false],
      ["admin", "user.remove", true, false],
    ],
  );
  assert.ok(!JSON.stringify(entries).includes(made.secret));
  assert.equal(((await admin("GET", "/v1/audit/verify")).answer as { intact: boolean }).intact, true);
});

test("a change that cannot be audited fails", async (t) => {
  const { db, ask, tokenOf } = await served(t);
  const token = await tokenOf("viewer");
  await db.schema.dropTable("audit").execute();
  assert.equal((await ask("POST", "/v1/users", "first-token", { name: "ann", role: "viewer" })).status, 500);
  assert.equal((await ask("GET", "/v1/users", token)).status, 403, "what changes nothing is refused all the same");
});

test("answers are nothing a browser would show, frame, sniff or keep", async (t) => {
  const { ask } = await served(t);
  for (const [path, token] of [["/v1/whoami", "first-token"], ["/v1/whoami"], ["/nothing"], ["/healthz"]] as const) {
    const { headers } = await ask("GET", path, token);
    assert.deepEqual(
      ["x-content-type-options", "x-frame-options", "referrer-policy", "cache-control"].map((name) =>
        headers.get(name),
      ),
      ["nosniff", "DENY", "no-referrer", "no-store"],
      path,
    );
    assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'/);
    assert.equal(headers.get("strict-transport-security"), null, "only over TLS");
  }
});
