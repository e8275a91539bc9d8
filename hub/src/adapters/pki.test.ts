import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
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
