import assert from "node:assert/strict";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startHub as startHubHere } from "@muster/hub";
import type { Device, HubStatus, Invite } from "@muster/shared";
import { jsonLog } from "@muster/shared/node";
import { programs, runCommand } from "../fleet/cli.js";
import { eventually, freePort } from "../fleet/fleet.js";
import { type KeyPair, OpensslCa } from "../fleet/openssl-ca.js";
import { Program } from "../fleet/process.js";
import { startHub, temporaryFolder } from "./place.js";

const local = { names: "DNS:localhost,IP:127.0.0.1" };

test("with a CA of one's own whose key stays elsewhere, devices bring their certificates", async (t) => {
  const files = await temporaryFolder(t);
  const ca = await OpensslCa.make(join(files, "ca"));
  const server = await ca.issue("hub", local);
  const crl = await ca.crl();
  const { hub, folder } = await startHub(t, {
    ...{ caCertificate: ca.certificate, caCrl: crl },
    ...{ serverCertificate: server.certificate, serverKey: server.key },
  });
  const joinWith = async (device: string, { certificate, key }: KeyPair, ...flags: string[]) => {
    const { url, token } = await hub.operator.json<Invite>("device", "invite", "--device", device, ...flags);
    const args = ["--data-dir", join(folder, device), "join", url, token, "--device", device];
    return runCommand(programs.agent, [...args, "--certificate", certificate, "--key", key]);
  };
  const startAgent = async (device: string) => {
    const args = ["--data-dir", join(folder, device), "run", "--inference-port", String(await freePort())];
    const log = { logFile: join(folder, `${device}.log`), ready: "agent.started" };
    const program = await Program.start(device, programs.agent, args, log);
    t.after(() => program.stop());
    return program;
  };
  const show = (device: string) => hub.operator.json<Device>("device", "show", device);
  const counters = async () => (await hub.operator.json<HubStatus>("status")).counters;

  const first = await ca.issue("a");
  const here: KeyPair = { certificate: join(files, "a.crt"), key: join(files, "a.key") };
  const put = async (pair: KeyPair) => {
    await copyFile(pair.certificate, here.certificate);
    await copyFile(pair.key, here.key);
  };
  await put(first);

  await t.test("a certificate that does not fit is refused with the reason", async () => {
    assert.match((await joinWith("a", await ca.issue("b"))).stderr, /expected the common name 'a'/);
    const foreign = await OpensslCa.make(join(files, "foreign"));
    assert.match((await joinWith("a", await foreign.issue("a"))).stderr, /not signed by the CA of this hub/);
    const { url, token } = await hub.operator.json<Invite>("device", "invite");
    const plain = await runCommand(programs.agent, [
      "--data-dir",
      join(folder, "x"),
      "join",
      url,
      token,
      "--device",
      "x",
    ]);
    assert.match(plain.stderr, /this hub does not sign; join with a certificate of your own/);
  });

  const { code, stderr } = await joinWith("a", here);
  assert.equal(code, 0, stderr);
  const agent = await startAgent("a");
  await agent.waitFor("link.connected", 10_000);
  const serial = (await ca.serialOf(first)).toLowerCase().replace(/^0+/, "");
  assert.deepEqual(
    (await show("a")).certificates?.map((each) => each.serial),
    [serial],
  );

  await t.test("a new certificate of the same name is taken at the next connect, without joining again", async () => {
    const second = await ca.issue("a", {}, "a2");
    await put(second);
    await hub.program.stop();
    await hub.restart();
    await agent.waitFor("link.lost", 10_000);
    const next = (await ca.serialOf(second)).toLowerCase().replace(/^0+/, "");
    await eventually("both serials are known", async () =>
      (await show("a")).certificates?.some((each) => each.serial === next) ? true : undefined,
    );
  });

  await t.test("a revoked serial number is refused, the certificate before it is still good", async () => {
    const known = (await show("a")).certificates ?? [];
    await hub.operator.json("device", "revoke", "a", "--serial", known.at(-1)?.serial ?? "", "--reason", "lost");
    await agent.waitFor("link.lost", 15_000, ({ reason }) => /refuses/.test(String(reason)));
    await put(first);
    await eventually("back with the first", async () => ((await show("a")).online ? true : undefined), 20_000);
  });

  await t.test("what the revocation list names does not get in", async () => {
    const lost = await ca.issue("c");
    assert.equal((await joinWith("c", lost)).code, 0);
    await ca.revoke(lost);
    await ca.crl();
    await hub.program.stop();
    await hub.restart();
    const revoked = await startAgent("c");
    const { reason } = await revoked.waitFor("link.lost", 10_000);
    assert.match(String(reason), /refuses this device's certificate/);
    await hub.program.waitFor("broker.handshake.refused", 5000, (line) => /CERT_REVOKED/.test(String(line.reason)));
    assert.ok(((await counters())["certificate-revoked"] ?? 0) >= 1);
  });
});

test("with a CA of one's own and its key, the hub signs from it", async (t) => {
  const files = await temporaryFolder(t);
  const root = await OpensslCa.make(join(files, "root"));
  const { hub, folder } = await startHub(t, { caCertificate: root.certificate, caKey: root.key });
  const { url, token } = await hub.operator.json<Invite>("device", "invite", "--device", "a");
  const joined = await runCommand(programs.agent, [
    "--data-dir",
    join(folder, "a"),
    "join",
    url,
    token,
    "--device",
    "a",
  ]);
  assert.equal(joined.code, 0, joined.stderr);
  const args = ["--data-dir", join(folder, "a"), "run", "--inference-port", String(await freePort())];
  const agent = await Program.start("a", programs.agent, args, {
    ...{ logFile: join(folder, "a.log"), ready: "agent.started" },
  });
  t.after(() => agent.stop());
  await agent.waitFor("link.connected", 10_000);
});

test("a PKI that does not fit is refused at the start, with the field and what to do", async (t) => {
  const files = await temporaryFolder(t);
  const ca = await OpensslCa.make(join(files, "ca"));
  const other = await OpensslCa.make(join(files, "other"));
  const server = await ca.issue("hub", local);
  const leaf = await ca.issue("leaf");
  const expired = await ca.issue("old", { ...local, expired: true });
  const elsewhere = await ca.issue("elsewhere", { names: "DNS:elsewhere" });
  const foreign = await other.issue("foreign", local);
  const sub = await ca.issue("Sub CA", { isCa: true }, "sub");
  const junk = join(files, "junk.pem");
  await writeFile(junk, "not pem");
  const own = { caCertificate: ca.certificate };
  const listener = { serverCertificate: server.certificate, serverKey: server.key };
  const cases: [settings: Record<string, string>, says: RegExp][] = [
    [{ caKey: ca.key }, /^caKey: it needs caCertificate beside it/],
    [own, /^caCertificate: it is here without its key; give caKey, .* or serverCertificate and serverKey/],
    [{ ...own, serverCertificate: server.certificate }, /^serverKey: .* belong together/],
    [
      { ...listener, caCertificate: join(files, "none.pem") },
      /^caCertificate: .*none.pem cannot be read .*check the path/,
    ],
    [{ ...listener, caCertificate: junk }, /^caCertificate: .* holds no certificate; give a PEM file/],
    [{ ...listener, caCertificate: leaf.certificate }, /^caCertificate: 'CN=leaf' is not the certificate of a CA/],
    [{ ...own, caKey: other.key }, /^caKey: it is not the key of 'CN=Works root'/],
    [{ ...own, caKey: junk }, /^caKey: .* is no private key/],
    [{ caCertificate: sub.certificate, caKey: sub.key }, /^caCertificate: 'CN=Sub CA' is not signed by itself; append/],
    [{ ...own, ...listener, serverKey: leaf.key }, /^serverKey: it is not the key of 'CN=hub'/],
    [
      { ...own, serverCertificate: expired.certificate, serverKey: expired.key },
      /^serverCertificate: 'CN=old' has expired/,
    ],
    [
      { ...own, serverCertificate: elsewhere.certificate, serverKey: elsewhere.key },
      /^serverCertificate: it is for DNS:elsewhere, not for publicHost 127\.0\.0\.1; change publicHost/,
    ],
    [{ ...own, serverCertificate: leaf.certificate, serverKey: leaf.key }, /^serverCertificate: /],
    [
      { ...own, serverCertificate: foreign.certificate, serverKey: foreign.key },
      /^serverCertificate: .*not signed by caCertificate; append/,
    ],
    [{ ...own, ...listener, caCrl: junk }, /^caCrl: .* holds no revocation list/],
  ];
  const silent = jsonLog(() => undefined, "error");
  for (const [at, [settings, says]] of cases.entries()) {
    const ports = { httpPort: 0, mqttPort: 0, enrolmentPort: 0, mqttHost: "127.0.0.1", enrolmentHost: "127.0.0.1" };
    const options = { dataDir: join(files, `hub-${at}`), ...ports, ...settings };
    await assert.rejects(
      startHubHere(options, silent).then((hub) => hub.close()),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "config/invalid");
        assert.match(error.message, says);
        return true;
      },
    );
  }
});
