import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { lockFolder } from "@muster/shared/node";
import { prepareMosquitto } from "./mosquitto-files.js";

async function place(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "muster-mosquitto-"));
  t.after(() => rm(folder, { recursive: true }));
  const [dataDir, broker] = [join(folder, "hub"), join(folder, "broker")];
  const read = (name: string) => readFile(join(broker, name), "utf8");
  return { dataDir, broker, read };
}

test("a Mosquitto gets all it needs, its key for nobody else to read", async (t) => {
  const { dataDir, broker, read } = await place(t);
  const hosts = ["mqtt.example", "10.0.0.7"];
  const files = await prepareMosquitto({ dataDir }, { folder: broker, hosts, port: 18883 });
  const names = ["ca.crt", "server.crt", "server.key", "acl", "mosquitto.conf", "crl.pem"];
  assert.deepEqual(
    files,
    names.map((name) => join(broker, name)),
  );
  const server = new X509Certificate(await read("server.crt"));
  assert.equal(server.checkHost("mqtt.example"), "mqtt.example");
  assert.equal(server.checkIP("10.0.0.7"), "10.0.0.7");
  assert.ok(server.verify(new X509Certificate(await read("ca.crt")).publicKey));
  assert.equal((await stat(join(broker, "server.key"))).mode & 0o077, 0);
  const conf = await read("mosquitto.conf");
  for (const line of ["listener 18883", "require_certificate true", "use_username_as_clientid true"]) {
    assert.ok(conf.split("\n").includes(line), line);
  }
  const acl = await read("acl");
  assert.match(acl, /^user muster\.hub\ntopic read muster\/1\/up\/\+\/\+\/\+\ntopic write muster\/1\/down\/\+\/\+$/m);
  assert.match(acl, /^pattern write muster\/1\/up\/\+\/%u\/hello$/m);
  assert.match(acl, /^pattern read muster\/1\/down\/%u\/chunk$/m);
});

test("written again beside a running hub, the CA stays, the certificate is new, and the hub's list is kept", async (t) => {
  const { dataDir, broker, read } = await place(t);
  await prepareMosquitto({ dataDir }, { folder: broker, hosts: ["h"] });
  const before = { ca: await read("ca.crt"), server: await read("server.crt") };
  await writeFile(join(broker, "crl.pem"), "of the hub");
  const unlock = await lockFolder(dataDir);
  t.after(unlock);
  await prepareMosquitto({ dataDir, broker: { url: "mqtts://b.example:1234" } }, { folder: broker });
  assert.equal(await read("ca.crt"), before.ca);
  assert.notEqual(await read("server.crt"), before.server);
  assert.equal(new X509Certificate(await read("server.crt")).checkHost("b.example"), "b.example");
  assert.match(await read("mosquitto.conf"), /^listener 1234$/m);
  assert.equal(await read("crl.pem"), "of the hub");
});
