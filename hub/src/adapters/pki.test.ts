import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { proveRenewal } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import { ListenerCertificates } from "../listener-tls.js";
import { openPki } from "./pki.js";
import { silent } from "./testing/broker-bench.js";
import { newRequest } from "./testing/csr.js";

const dayMs = 86_400_000;

async function bench(t: TestContext, deviceCertificateMs = 90 * dayMs) {
  const folder = await mkdtemp(join(tmpdir(), "muster-pki-"));
  t.after(() => rm(folder, { recursive: true }));
  const clock = new FakeClock();
  return { clock, pki: await openPki({ ...{ folder, deviceCertificateMs, clock }, files: {}, publicHost: "hub" }) };
}

test("the listeners' own certificate is made anew long before it expires, by the same root", async (t) => {
  const { clock, pki } = await bench(t);
  const listeners = await ListenerCertificates.open(pki, silent);
  const first = listeners.tls;
  const shown: string[] = [];
  listeners.onChange(({ certificate }) => shown.push(certificate));
  clock.advance(500 * dayMs);
  await listeners.refresh();
  assert.deepEqual([listeners.tls, shown.length], [first, 0]);
  clock.advance(60 * dayMs);
  await listeners.refresh();
  assert.equal(shown.length, 1);
  const next = new X509Certificate(listeners.tls.certificate);
  assert.notEqual(next.serialNumber, new X509Certificate(first.certificate).serialNumber);
  assert.ok(Date.parse(next.validTo) > clock.now() + 800 * dayMs);
  assert.ok(next.verify(new X509Certificate(pki.serverCa).publicKey) && next.checkHost("hub") === "hub");
});

test("a device's certificate lasts as long as it is set to, and begins at most that long ago", async (t) => {
  for (const [lifeMs, backMs] of [
    [90 * dayMs, dayMs],
    [10_000, 10_000],
  ] as const) {
    const { clock, pki } = await bench(t, lifeMs);
    const { csr } = await newRequest("a");
    const issued = await pki.authority?.issueDevice(csr, "a");
    const { validFrom, validTo } = new X509Certificate(issued?.certificate ?? "");
    assert.deepEqual([Date.parse(validFrom), Date.parse(validTo)], [clock.now() - backMs, clock.now() + lifeMs]);
    assert.equal(issued?.expiresMs, clock.now() + lifeMs);
  }
});

test("a renewal counts for the certificate with whose key it was signed, and for nothing else", async (t) => {
  const { clock, pki } = await bench(t);
  const issued = async (name: string, by = pki) => {
    const { privateKey, csr } = await newRequest(name);
    return { privateKey, csr, ...((await by.authority?.issueDevice(csr, name)) ?? assert.fail()) };
  };
  const present = await issued("a");
  const { csr } = await newRequest("a");
  const asked = { request: "request-1", csr };
  const proof = proveRenewal(asked, present.privateKey);
  const { certificate } = present;
  const good = { ...asked, certificate, proof };
  assert.deepEqual(pki.readProven(good, "a"), {
    ...{ serial: present.serial, expiresMs: present.expiresMs },
    fromMs: clock.now() - dayMs,
  });
  const refused = (request: typeof good, message: RegExp, device = "a") =>
    assert.throws(() => pki.readProven(request, device), { code: "request/invalid", message });
  const other = await issued("a");
  refused({ ...good, certificate: other.certificate }, /proof: it was not made with the key/);
  refused({ ...good, proof: proveRenewal(asked, other.privateKey) }, /proof/);
  refused({ ...good, csr: other.csr }, /proof/);
  refused({ ...good, request: "request-2" }, /proof/);
  refused({ ...good, proof: "" }, /proof/);
  refused(good, /expected the common name 'b'/, "b");
  const foreign = await issued("a", (await bench(t)).pki);
  const forged = { certificate: foreign.certificate, proof: proveRenewal(asked, foreign.privateKey) };
  refused({ ...asked, ...forged }, /not signed by the CA of this hub/);
  clock.advance(91 * dayMs);
  refused(good, /it has expired/);
});
