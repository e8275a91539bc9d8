import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { startRunner } from "../testing.js";
import { Windows } from "../windows.js";
import { metricsRoute } from "./metrics.js";
import { modelRoutes } from "./model-routes.js";
import { type openApiDocument, openApiRoute } from "./openapi.js";
import { Traffic } from "./traffic.js";

test("the OpenAPI document is valid and describes every route there is, and no other", async (t) => {
  const { url } = await startRunner(t);
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as ReturnType<typeof openApiDocument>;
  const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
  assert.ok(valid, JSON.stringify(errors));
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((key) => key !== "parameters")
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const deps = {
    slots: undefined,
    inference: undefined,
    windows: new Windows(() => 0),
    traffic: new Traffic(),
  } as never;
  const routes = [...modelRoutes(deps), metricsRoute(deps), openApiRoute("1.0.0")];
  assert.deepEqual(described.sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
});
