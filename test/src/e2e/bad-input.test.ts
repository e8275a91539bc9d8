import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ApiError, type HubStatus, upTopic } from "@muster/shared";
import mqtt from "mqtt";
import { AgentMachine, eventually } from "../fleet/fleet.js";
import { startHub } from "./place.js";

test("an HTTP request that does not fit names its field, and changes nothing", async (t) => {
  const { hub } = await startHub(t);
  const token = (await readFile(join(hub.dataDir, "admin.token"), "utf8")).trim();
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = { authorization: `Bearer ${token}` },
  ) => {
    const payload = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(hub.apiUrl + path, { method, headers: { ...type, ...headers }, ...payload });
    return { status: response.status, error: ApiError.parse(await response.json()).error };
  };
  const fields = ({ error }: { error: ApiError["error"] }) => error.problems.map(({ field }) => field).join(" ");

  const body = await ask("POST", "/v1/invites", { uses: "many", colour: "red" });
  assert.equal(body.status, 400);
  assert.match(fields(body), /uses/);
  assert.match(body.error.message, /colour/);
  assert.equal((await ask("POST", "/v1/invites", "{not json")).status, 400);
  assert.equal((await ask("POST", "/v1/rollouts", { model: "UPPER", version: "1" })).status, 400);
  assert.equal(
    (await ask("POST", "/v1/rollouts", { model: "m", version: "1", settings: { waves: [{ percent: 0 }] } })).status,
    400,
  );
  assert.equal((await ask("POST", "/v1/rollouts", { model: "m", version: "1" })).status, 404);
  assert.equal((await ask("GET", "/v1/devices?selector=a=b=c")).status, 400);
  assert.equal((await ask("GET", "/v1/devices/none")).status, 404);
  assert.equal((await ask("GET", "/v1/telemetry/latency?lastMs=soon")).status, 400);
  assert.equal((await ask("PUT", `/v1/uploads/${"z".repeat(64)}`, "{}")).status, 400);
  const mismatch = await fetch(`${hub.apiUrl}/v1/uploads/${"0".repeat(64)}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
    body: "other bytes",
  });
  assert.equal(mismatch.status, 422);
  assert.equal((await ask("GET", "/v1/nothing")).status, 404);
  assert.equal((await ask("GET", "/v1/devices", undefined, {})).status, 401);
  assert.equal((await ask("GET", "/v1/devices", undefined, { authorization: "Bearer wrong" })).status, 401);
  assert.equal((await ask("POST", "/v1/models", { bundle: "x".repeat(1_100_000), files: {} })).status, 400);
  const status = await hub.operator.json<HubStatus>("status");
  assert.deepEqual([status.devices.total, status.models, status.activeRollouts], [0, 0, 0]);
});

test("an MQTT payload that is not ours is counted and ignored", async (t) => {
  const { hub, folder } = await startHub(t);
  const agent = new AgentMachine(folder, "a");
  await agent.join(hub, "site=lyon");
  const identity = JSON.parse(await readFile(join(agent.dataDir, "identity", "identity.json"), "utf8")) as Record<
    string,
    string
  >;
  const key = await readFile(join(agent.dataDir, "identity", "device.key.pem"), "utf8");
  const client = await mqtt.connectAsync(identity.mqttUrl ?? "", {
    ...{ clientId: "a", ca: identity.ca ?? "", cert: identity.certificate ?? "", key },
    reconnectPeriod: 0,
  });
  const payloads = [
    "",
    "not json",
    "{}",
    "[]",
    "null",
    '{"seq":-1}',
    Buffer.alloc(2000, 0xff),
    `{"x":"${"y".repeat(100_000)}"}`,
  ];
  const kinds = ["hello", "reported", "event", "telemetry", "request"] as const;
  for (const kind of kinds)
    for (const payload of payloads) await client.publishAsync(upTopic("a", kind), payload, { qos: 1 });
  const counted = await eventually("every message counted", async () => {
    const { counters } = await hub.operator.json<HubStatus>("status");
    return (counters["message-invalid"] ?? 0) >= kinds.length * payloads.length ? counters : undefined;
  });
  assert.equal(counted["message-invalid"], kinds.length * payloads.length);
  assert.equal(counted["message-failed"], 0);
  await client.endAsync();
  await agent.start();
  t.after(() => agent.program.stop());
  await eventually("the real agent is online", async () =>
    (await hub.operator.json<HubStatus>("status")).devices.online === 1 ? true : undefined,
  );
});
