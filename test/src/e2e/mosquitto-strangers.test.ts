import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { client, connected, until } from "@muster/hub/testing";
import { upTopic } from "@muster/shared";
import { mosquittoBench } from "../fleet/mosquitto-bench.js";
import { startMosquittoHub } from "../fleet/mosquitto-hub.js";
import { OpensslCa } from "../fleet/openssl-ca.js";
import { runTool } from "../fleet/tool-run.js";
import { devices } from "./line.js";

test("a Mosquitto with the hub's files lets nobody in without a certificate of the hub's CA", async (t) => {
  const bench = await mosquittoBench(t);
  const to = ["-h", "127.0.0.1", "-p", `${bench.broker.port}`, "--cafile", join(bench.folder, "ca.crt")];
  const publish = (tls: string[], ...message: string[]) =>
    runTool("mosquitto_pub", [...to, ...tls, "-i", "a", "-t", upTopic("a", "hello"), "-q", "1", ...message]);
  const own = { certificate: join(bench.folder, "a.crt"), key: join(bench.folder, "a.key") };
  const issued = await bench.authority.issueClient("a");
  await writeFile(own.certificate, issued.certificate);
  await writeFile(own.key, issued.privateKey);
  const foreign = await (await OpensslCa.make(join(bench.folder, "foreign"))).issue("a");
  const flags = (pair: typeof own) => ["--cert", pair.certificate, "--key", pair.key];

  assert.notEqual((await publish([], "-m", "none")).code, 0);
  assert.notEqual((await publish(flags(foreign), "-m", "foreign")).code, 0);
  // It answers a message that it may not keep by ending the connection.
  assert.notEqual((await publish(flags(own), "-m", "retained", "-r")).code, 0);
  assert.equal((await publish(flags(own), "-m", "own")).code, 0);
  await until("the device's own", () => bench.heard.length > 0);
  assert.deepEqual(
    bench.heard.map(({ payload }) => String(payload)),
    ["own"],
  );
});

test("a message that is too large ends its connection, and reaches nobody", async (t) => {
  const bench = await mosquittoBench(t);
  const device = await client(t, bench, "a");
  assert.equal(await connected(device), "connected");
  const closed = new Promise<void>((resolve) => device.once("close", () => resolve()));
  device.publish(upTopic("a", "telemetry"), Buffer.alloc(1024 * 1024 + 1), { qos: 1 });
  await closed;
  assert.deepEqual(bench.heard, []);
});

test("a device renews its certificate through a Mosquitto, which does not tell the hub of the one it shows", async (t) => {
  const { hub, folder } = await startMosquittoHub(t, { deviceCertificateMs: 20_000 });
  const [agent] = await devices(t, hub, folder, 1);
  assert.ok(agent !== undefined);
  const renewed = () => agent.program.log.filter(({ event }) => event === "identity.renewed").length;
  const connects = () => agent.program.log.filter(({ event }) => event === "link.connected").length;
  await until("two renewals, each used", () => renewed() >= 2 && connects() >= 3, 60_000);
  assert.deepEqual(
    agent.program.log.filter(({ event }) => event === "link.lost" || event === "identity.renewal-failed"),
    [],
  );
});
