import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseWith } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { HubConfig } from "../config.js";
import type { Pki } from "../ports.js";
import { brokerCredentials } from "./broker-credentials.js";
import { openPki } from "./pki.js";

const url = "mqtts://broker.example:8883";
const nameOf = (pem: string) => new X509Certificate(pem).subject;

async function bench(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "muster-broker-"));
  t.after(() => rm(folder, { recursive: true }));
  const settings = { publicHost: "hub", deviceCertificateMs: 86_400_000, clock: systemClock };
  const pki = await openPki({ folder, files: {}, ...settings });
  const { authority } = pki;
  if (authority === undefined) throw new Error("a CA of one's own signs");
  return { folder, pki, authority };
}

test("without files the hub's CA makes a short-lived certificate for each connection, under a name no device can have", async (t) => {
  const { pki } = await bench(t);
  const { hub, device } = await brokerCredentials({ url }, pki);
  const [first, second] = [await hub(), await hub()];
  assert.deepEqual([nameOf(first.certificate), first.ca], ["CN=muster.hub", pki.serverCa]);
  assert.notEqual(first.certificate, second.certificate);
  const certificate = new X509Certificate(first.certificate);
  assert.ok(Date.parse(certificate.validTo) - Date.now() < 3_700_000);
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2"], "for clients only");
  assert.equal(nameOf((await device?.("a"))?.certificate ?? ""), "CN=a");
});

test("files are taken as they are, and have to belong together", async (t) => {
  const { folder, pki, authority } = await bench(t);
  const files = { certificate: join(folder, "c.pem"), key: join(folder, "k.pem") };
  const made = await authority.issueClient("works-hub");
  await writeFile(files.certificate, made.certificate);
  await writeFile(files.key, made.privateKey);
  const { hub } = await brokerCredentials({ url, ...files }, pki);
  assert.equal(nameOf((await hub()).certificate), "CN=works-hub");
  await writeFile(files.key, (await authority.issueClient("works-hub")).privateKey);
  await assert.rejects(brokerCredentials({ url, ...files }, pki), { message: /broker.key: it is not the key of/ });
  const elsewhere = { ...files, key: join(folder, "nothing") };
  await assert.rejects(brokerCredentials({ url, ...elsewhere }, pki), { code: "config/invalid" });
});

test("a hub that does not sign needs a certificate for the broker, and cannot make one for a device", async (t) => {
  const { pki } = await bench(t);
  const unsigned: Pki = { ...pki, authority: undefined, serverCa: "CA" };
  await assert.rejects(brokerCredentials({ url }, unsigned), {
    code: "config/invalid",
    message: /broker.certificate: this hub does not sign; give broker.certificate and broker.key/,
  });
});

test("what does not fit in the configuration of a broker is named", () => {
  const says = (broker: unknown) => {
    try {
      parseWith(HubConfig, { broker }, "config/invalid", "hub.yaml");
      return "fine";
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(says({ url, crlFile: "crl.pem", deviceUrl: "mqtts://10.0.0.1" }), "fine");
  assert.match(says({ url: "mqtt://broker" }), /broker.url: must be mqtts:/);
  assert.match(says({ url: "mqtts://me:secret@broker" }), /broker.url: must be mqtts:/);
  assert.match(says({ url, pasword: "x" }), /broker.pasword: unknown key/);
  assert.match(says({ url, key: "k.pem" }), /broker.key: certificate and key belong together/);
});
