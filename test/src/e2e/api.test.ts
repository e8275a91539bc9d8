import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startHub } from "./place.js";

test("the API describes itself: every route, with schemas of what it takes and gives", async (t) => {
  const { hub } = await startHub(t);
  const document = (await (await fetch(`${hub.apiUrl}/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<
      string,
      Record<string, { summary?: string; requestBody?: unknown; responses: Record<string, { content?: unknown }> }>
    >;
  };
  assert.match(document.openapi, /^3\./);
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  for (const route of [
    "get /v1/status",
    "post /v1/invites",
    "get /v1/devices",
    "patch /v1/devices/{device}/labels",
    "delete /v1/devices/{device}",
    "put /v1/uploads/{digest}",
    "post /v1/models",
    "get /v1/models/{model}/versions/{version}",
    "delete /v1/models/{model}/versions/{version}",
    "post /v1/rollouts/plan",
    "post /v1/rollouts",
    "post /v1/rollouts/{id}/{action}",
    "get /v1/telemetry/latency",
    "get /v1/telemetry/events",
    "get /v1/drift",
  ]) {
    assert.ok(routes.includes(route), `${route} is not in ${routes.join(", ")}`);
  }
  for (const methods of Object.values(document.paths)) {
    for (const { summary, responses } of Object.values(methods)) {
      assert.ok(summary, "a route without a summary");
      assert.ok(Object.entries(responses).every(([status, { content }]) => status === "204" || content !== undefined));
    }
  }
});

test("a second hub on the same data folder, or on ports in use, says what to do and does no harm", async (t) => {
  const { hub, folder } = await startHub(t);
  const same = await hub.operator.run("hub", "--config", join(folder, "hub.yaml"));
  assert.equal(same.code, 1);
  assert.match(same.stderr, /works in .* already; stop it or use another data folder/);
  const { httpPort } = JSON.parse(await readFile(join(folder, "hub.yaml"), "utf8")) as { httpPort: number };
  const other = await hub.operator.run(
    "hub",
    "--data-dir",
    join(folder, "other"),
    "--http-port",
    String(httpPort),
    "--mqtt-port",
    "0",
    "--enrolment-port",
    "0",
  );
  assert.equal(other.code, 1);
  assert.match(other.stderr, new RegExp(`port ${httpPort} for the HTTP API is in use.*choose another port`));
  assert.equal((await hub.operator.run("status")).code, 0);
});
