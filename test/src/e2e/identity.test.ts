import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Device, EventList, HubStatus } from "@muster/shared";
import mqtt from "mqtt";
import { programs, runCommand } from "../fleet/cli.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { startHub } from "./place.js";

/** What a device proves itself with, as it lies on its disk. */
async function identityOf({ dataDir }: AgentMachine) {
  const folder = join(dataDir, "identity");
  const stored = JSON.parse(await readFile(join(folder, "identity.json"), "utf8")) as Record<string, string>;
  const { mqttUrl = "", ca = "", certificate: cert = "", keyFile = "device.key.pem" } = stored;
  return { mqttUrl, ca, cert, key: await readFile(join(folder, keyFile), "utf8") };
}

function connects({ mqttUrl, ...tls }: Awaited<ReturnType<typeof identityOf>>, clientId: string): Promise<string> {
  const client = mqtt.connect(mqttUrl, { clientId, ...tls, reconnectPeriod: 0 });
  return new Promise((resolve) => {
    client.once("connect", () => client.end(true, () => resolve("connected")));
    client.once("error", (error) => client.end(true, () => resolve(error.message)));
    client.once("close", () => resolve("closed"));
  });
}

const count = async (hub: HubMachine, name: string) =>
  (await hub.operator.json<HubStatus>("status")).counters[name] ?? 0;
const times = (agent: AgentMachine, event: string) => agent.program.log.filter((line) => line.event === event).length;

test("a device renews its certificate again and again and stays online; the old one opens nothing", async (t) => {
  const { hub, folder } = await startHub(t, { deviceCertificateMs: 10_000 });
  const agent = new AgentMachine(folder, "a");
  await agent.join(hub, "site=lyon");
  const first = await identityOf(agent);
  await agent.start();
  t.after(() => agent.program.stop());
  await agent.program.waitFor("identity.renewed", 15_000);
  await eventually("a connection with the new certificate", async () =>
    times(agent, "link.connected") >= 2 ? true : undefined,
  );
  assert.match(await connects(first, "a"), /Not authorized|closed/);
  const refused = await hub.program.waitFor("broker.login.refused", 3000);
  assert.match(String(refused.reason), /certificate [0-9a-f]+ of a was revoked: replaced/);
  assert.ok((await count(hub, "certificate-revoked")) >= 1);

  await eventually("a second renewal", async () => (times(agent, "identity.renewed") >= 2 ? true : undefined), 20_000);
  await eventually("its connection", async () => (times(agent, "link.connected") >= 3 ? true : undefined));
  assert.equal(times(agent, "link.lost"), 0);
  assert.equal((await hub.operator.json<HubStatus>("status")).devices.online, 1);
  const { certificates = [] } = await hub.operator.json<Device>("device", "show", "a");
  assert.ok(certificates.filter(({ revokedMs = Number.POSITIVE_INFINITY }) => revokedMs > Date.now()).length <= 2);
  await eventually("the event on the hub", async () => {
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--kind", "identity.renewed");
    return events.length >= 2 ? true : undefined;
  });
  const status = await runCommand(programs.agent, ["--data-dir", agent.dataDir, "status"]);
  assert.match(status.stdout, /identity +certificate [0-9a-f]{32}, valid for/);
  const doctor = await runCommand(programs.agent, ["--data-dir", agent.dataDir, "doctor"]);
  assert.match(doctor.stdout, /ok +identity +joined as a; certificate valid for/);
  const files = await readdir(join(agent.dataDir, "identity"));
  assert.equal(files.filter((name) => name.startsWith("device.")).length, 1, files.join(" "));
});

test("a device killed anywhere in a renewal comes back with an identity that works", async (t) => {
  const { hub, folder } = await startHub(t, { deviceCertificateMs: 40_000 });
  const agent = new AgentMachine(folder, "a");
  await agent.join(hub, "site=lyon");
  t.after(() => (agent.started ? agent.program.stop() : undefined));
  for (const afterMs of [0, 6, 20]) {
    await agent.start();
    await agent.program.waitFor("link.connected", 10_000);
    await agent.program.waitFor("identity.renewing", 30_000);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await agent.program.kill();
  }
  await agent.start();
  await agent.program.waitFor("link.connected", 10_000);
  // At once, or, when the last kill came just after the renewal, at the next one.
  await agent.program.waitFor("identity.renewed", 40_000);
  await eventually("online with the new one", async () => (times(agent, "link.connected") >= 2 ? true : undefined));
  assert.equal(times(agent, "link.lost"), 0);
});
