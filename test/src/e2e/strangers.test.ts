import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { downTopic, type HubStatus, upTopic } from "@muster/shared";
import mqtt from "mqtt";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { type KeyPair, OpensslCa } from "../fleet/openssl-ca.js";
import { runTool } from "../fleet/tool-run.js";
import { startHub } from "./place.js";

interface Place {
  readonly hub: HubMachine;
  readonly port: string;
  readonly ca: string;
  readonly own: KeyPair;
  /** The CA of the hub itself, in the hands of a tester. */
  readonly hubCa: OpensslCa;
  readonly folder: string;
}

async function place(t: TestContext): Promise<Place> {
  const { hub, folder } = await startHub(t);
  const agent = new AgentMachine(folder, "a");
  await agent.join(hub, "site=lyon");
  const victim = new AgentMachine(folder, "victim");
  await victim.join(hub, "site=lyon");
  const identity = join(agent.dataDir, "identity");
  const stored = JSON.parse(await readFile(join(identity, "identity.json"), "utf8")) as Record<string, string>;
  const [ca, certificate] = [join(folder, "hub-ca.crt"), join(folder, "a.crt")];
  await writeFile(ca, stored.ca ?? "");
  await writeFile(certificate, stored.certificate ?? "");
  const hubIdentity = join(hub.dataDir, "identity");
  const pair = { certificate: join(hubIdentity, "ca.crt.pem"), key: join(hubIdentity, "ca.key.pem") };
  const hubCa = await OpensslCa.of(join(folder, "hub-ca"), pair);
  const { port } = new URL(stored.mqttUrl ?? "");
  return { hub, port, ca, own: { certificate, key: join(identity, "device.key.pem") }, hubCa, folder };
}

async function counters({ apiUrl, dataDir }: HubMachine): Promise<HubStatus["counters"]> {
  const token = (await readFile(join(dataDir, "admin.token"), "utf8")).trim();
  const response = await fetch(`${apiUrl}/v1/status`, { headers: { authorization: `Bearer ${token}` } });
  return ((await response.json()) as HubStatus).counters;
}

/** Runs the action and says which counter rose for it. */
async function counted(hub: HubMachine, name: string, act: () => Promise<unknown>): Promise<void> {
  const before = (await counters(hub))[name] ?? 0;
  await act();
  await eventually(`${name} is counted`, async () => ((await counters(hub))[name] ?? 0) > before || undefined, 5000);
}

test("who is not a device of this hub does not get in, whatever program it uses", async (t) => {
  const { hub, port, ca, own, hubCa, folder } = await place(t);
  const to = ["-h", "127.0.0.1", "-p", port, "--cafile", ca];
  const publish = (pair: KeyPair | undefined, id: string, topic: string, ...more: string[]) => {
    const tls = pair === undefined ? [] : ["--cert", pair.certificate, "--key", pair.key];
    return runTool("mosquitto_pub", [...to, ...tls, "-i", id, "-t", topic, "-m", "{}", "-q", "1", ...more]);
  };
  const hello = upTopic("a", "will");
  const foreignCa = await OpensslCa.make(join(folder, "foreign"));
  const foreign = await foreignCa.issue("a");
  const expired = await hubCa.issue("a", { expired: true }, "expired");
  const unknown = await hubCa.issue("a", {}, "unknown");
  const stranger = await hubCa.issue("nobody");

  assert.equal((await publish(own, "a", hello)).code, 0, "the device itself gets in");
  const cases: [name: string, counter: string, pair: KeyPair | undefined, id: string][] = [
    ["no certificate", "certificate-missing", undefined, "a"],
    ["a certificate of another CA", "certificate-foreign", foreign, "a"],
    ["an expired certificate", "certificate-expired", expired, "a"],
    ["a certificate the hub did not issue, signed with its stolen key", "certificate-unknown", unknown, "a"],
    ["a device that is not in the fleet", "device-unknown", stranger, "nobody"],
    ["another device's id", "id-not-certificate", own, "victim"],
  ];
  for (const [name, counter, pair, id] of cases) {
    await t.test(name, async () => {
      await counted(hub, counter, async () => {
        const { code, stderr } = await publish(pair, id, hello);
        assert.notEqual(code, 0, stderr);
      });
      await counted(hub, counter, async () => {
        const tls = pair && { cert: await readFile(pair.certificate), key: await readFile(pair.key) };
        const client = mqtt.connect(`mqtts://127.0.0.1:${port}`, {
          ...{ ...tls, ca: await readFile(ca), clientId: id, reconnectPeriod: 0 },
        });
        const refused = new Promise((resolve) => client.once("close", () => resolve("closed")));
        client.on("error", () => undefined);
        client.once("connect", () => assert.fail("it was let in"));
        await refused;
        client.end(true);
      });
    });
  }
  await t.test("openssl sees the refusal as MQTT says it, and nothing else", async () => {
    await counted(hub, "certificate-missing", async () => {
      const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", ca, "-quiet", "-verify_return_error"];
      const { stdout } = await runTool("openssl", args, { input: Buffer.from([0x10, 0x00]) });
      assert.equal(Buffer.from(stdout, "latin1").toString("hex"), "20020005");
    });
  });
  await t.test("a client without TLS", () =>
    counted(hub, "tls-handshake-failed", async () => {
      const { code } = await runTool("mosquitto_pub", ["-h", "127.0.0.1", "-p", port, "-t", hello, "-m", "{}"]);
      assert.notEqual(code, 0);
    }),
  );
  const reasons = hub.program.log.filter(({ event }) => /refused$/.test(event)).map(({ reason }) => String(reason));
  for (const says of [
    /no certificate/,
    /CERT_HAS_EXPIRED \(certificate .* of 'a'\)/,
    /was not issued to a by this hub/,
  ]) {
    assert.ok(
      reasons.some((reason) => says.test(reason)),
      `${says} in ${reasons.join("\n")}`,
    );
  }
});

test("a device touches only its own topics, whatever program it uses", async (t) => {
  const { hub, port, ca, own } = await place(t);
  const to = ["-h", "127.0.0.1", "-p", port, "--cafile", ca, "--cert", own.certificate, "--key", own.key, "-i", "a"];
  for (const topic of [upTopic("victim", "reported"), downTopic("victim", "desired"), "$SYS/x/new/clients", "x"]) {
    await t.test(`publishing to ${topic}`, () =>
      counted(hub, "publish-not-allowed", async () => {
        const { code, stderr } = await runTool("mosquitto_pub", [...to, "-t", topic, "-m", "victim", "-q", "1"]);
        assert.notEqual(code, 0, stderr);
      }),
    );
  }
  await t.test("a retained message", () =>
    counted(hub, "publish-not-allowed", async () => {
      const topic = ["-t", upTopic("a", "hello"), "-m", "{}"];
      assert.notEqual((await runTool("mosquitto_pub", [...to, ...topic, "-r", "-q", "1"])).code, 0);
    }),
  );
  for (const filter of ["#", "+/#", "muster/1/down/+/desired", downTopic("victim", "desired"), "$SYS/#"]) {
    await t.test(`subscribing to ${filter}`, () =>
      counted(hub, "subscribe-not-allowed", async () => {
        const { stdout, stderr } = await runTool("mosquitto_sub", [...to, "-t", filter, "-W", "2"]);
        assert.match(stderr, /denied/i);
        assert.equal(stdout, "");
      }),
    );
  }
  await t.test("its own topic is its own", async () => {
    const { stderr } = await runTool("mosquitto_sub", [...to, "-t", downTopic("a", "command"), "-W", "1"]);
    assert.doesNotMatch(stderr, /denied/i);
  });
});
