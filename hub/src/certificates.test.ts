import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ProvenRenewal } from "@muster/shared";
import { Certificates } from "./certificates.js";
import { EventLog } from "./events.js";
import type { IssuedCertificate, Pki } from "./ports.js";
import { CertificateStore } from "./store/certificate-store.js";
import { rooms, silent } from "./testing/hub-rooms.js";

const lifeMs = 90_000_000;

/** Certificates of device `a`, whose first one is `a1`; `signs` false is a hub without a key. */
async function bench(t: TestContext, signs = true) {
  const { db, clock, devices } = await rooms();
  t.after(() => db.destroy());
  let made = 0;
  const startMs = clock.now();
  /** Since when the certificates are valid. */
  const fromMs = new Map<string, number>();
  const shown = (serial: string, sinceMs = startMs) => ({ serial, fromMs: sinceMs, expiresMs: sinceMs + lifeMs });
  const issueDevice = async (_csr: string, device: string): Promise<IssuedCertificate> => {
    made += 1;
    fromMs.set(`${device}${made}`, clock.now());
    return { certificate: "PEM", serial: `${device}${made}`, expiresMs: clock.now() + lifeMs };
  };
  const pki = {
    authority: signs ? { issueDevice } : undefined,
    ...{ serverCa: "CA", pin: "pin" },
    readBrought: (text: string) => ({ certificate: text, serial: text, expiresMs: clock.now() + lifeMs }),
    readProven: ({ certificate }: ProvenRenewal) => shown(certificate, fromMs.get(certificate)),
  } as unknown as Pki;
  const open = async () =>
    new Certificates({
      ...{ store: await CertificateStore.open(db), clock, devices, events: new EventLog(db, clock), pki },
      settings: { log: silent, deviceCertificateMs: lifeMs },
    });
  const certificates = await open();
  const first = await certificates.sign("a", signs ? { csr: "csr" } : { certificate: "a1" });
  await certificates.adopt("a", first);
  const refusal = (serial: string, sinceMs = startMs) => certificates.refusal("a", shown(serial, sinceMs))?.count;
  const ask = (certificate = "a1") =>
    certificates.renew("a", { ...{ request: "request-1", csr: "csr" }, ...{ certificate, proof: "" } });
  return { db, clock, devices, certificates, open, shown, refusal, ask };
}

test("only the certificate issued to the device opens the door, and not when it has expired", async (t) => {
  const { refusal, certificates, clock, shown } = await bench(t);
  assert.equal(refusal("a1"), undefined);
  assert.equal(refusal("b1"), "certificate-unknown");
  assert.equal(certificates.refusal("stranger", shown("a1"))?.count, "device-unknown");
  clock.advance(lifeMs);
  assert.equal(refusal("a1"), "certificate-expired");
});

test("a renewal leaves the old certificate good until the new one is used", async (t) => {
  const { certificates, clock, ask, shown, refusal } = await bench(t);
  certificates.entered("a", shown("a1"));
  clock.advance(lifeMs * 0.6);
  const answer = await ask();
  assert.deepEqual(answer, { type: "certificate", request: "request-1", certificate: "PEM", ca: "CA" });
  assert.deepEqual([refusal("a1"), refusal("a2", clock.now())], [undefined, undefined]);
  certificates.entered("a", shown("a1"));
  assert.equal(refusal("a2", clock.now()), undefined, "coming with the old one does not end the new one");
  certificates.entered("a", shown("a2", clock.now()));
  assert.deepEqual([refusal("a1"), refusal("a2", clock.now())], ["certificate-revoked", undefined]);
});

test("the old certificate is good for a day at most, also when the new one never comes, and after a restart", async (t) => {
  const { certificates, clock, ask, shown, refusal, open } = await bench(t);
  certificates.entered("a", shown("a1"));
  clock.advance(lifeMs * 0.51);
  const nowMs = clock.now();
  await ask();
  const again = await open();
  const later = { ...shown("a1", nowMs), expiresMs: nowMs + 2 * lifeMs };
  assert.equal(again.refusal("a", later), undefined);
  clock.advance(86_400_000);
  assert.equal(again.refusal("a", later)?.count, "certificate-revoked");
  assert.equal(refusal("a2", nowMs), undefined);
});

test("asked again before the new one was used, the device has two that are good and not three", async (t) => {
  const { certificates, clock, ask, shown, refusal } = await bench(t);
  certificates.entered("a", shown("a1"));
  clock.advance(lifeMs * 0.6);
  await ask();
  clock.advance(1000);
  await ask();
  const counts = ["a1", "a2", "a3"].map((serial) => refusal(serial, clock.now()));
  assert.deepEqual(counts, [undefined, "certificate-revoked", undefined]);
});

test("renewals are refused too early, too often, and with a revoked certificate", async (t) => {
  const { certificates, clock, ask } = await bench(t);
  const reason = async () => {
    const answer = await ask();
    return answer.type === "renewal-refused" ? answer.reason : "renewed";
  };
  assert.match(await reason(), /more than half/);
  clock.advance(lifeMs * 0.6);
  for (let at = 0; at < 6; at += 1) assert.equal(await reason(), "renewed");
  assert.match(await reason(), /too many/);
  clock.advance(lifeMs / 100);
  await certificates.revoke("a", { reason: "stolen" });
  assert.match(await reason(), /revoked: stolen/);
  assert.equal(certificates.counters()["renewal-refused"], 3);
});

test("revoking one serial leaves the other; an unknown one is an error", async (t) => {
  const { certificates, clock, ask, shown, refusal } = await bench(t);
  certificates.entered("a", shown("a1"));
  clock.advance(lifeMs * 0.6);
  await ask();
  await certificates.revoke("a", { serial: "0A:1", reason: "lost" });
  assert.deepEqual([refusal("a1"), refusal("a2", clock.now())], ["certificate-revoked", undefined]);
  await assert.rejects(certificates.revoke("a", { serial: "ff", reason: "lost" }), { code: "certificate/unknown" });
  await assert.rejects(certificates.revoke("nobody", { reason: "lost" }), { code: "device/unknown" });
});

test("joining again ends what was; being removed forgets all but what was revoked", async (t) => {
  const { certificates, refusal, open, shown } = await bench(t);
  await certificates.adopt("a", await certificates.sign("a", { csr: "csr" }));
  assert.deepEqual([refusal("a1"), refusal("a2")], ["certificate-revoked", undefined]);
  await certificates.forget("a");
  assert.deepEqual([refusal("a1"), refusal("a2")], ["certificate-revoked", "certificate-unknown"]);
  assert.equal((await open()).refusal("a", shown("a1"))?.count, "certificate-revoked");
});

test("without a key of its own the hub takes what the CA signed, until it is revoked", async (t) => {
  const { certificates, refusal, shown, ask } = await bench(t, false);
  assert.deepEqual([refusal("a1"), refusal("a2")], [undefined, undefined]);
  certificates.entered("a", shown("a2"));
  assert.deepEqual(
    certificates.list("a").map(({ serial }) => serial),
    ["a1", "a2"],
  );
  await certificates.revoke("a", { serial: "a9", reason: "not seen yet" });
  assert.equal(refusal("a9"), "certificate-revoked");
  await assert.rejects(certificates.sign("a", { certificate: "a9" }), { code: "request/invalid" });
  await assert.rejects(certificates.sign("a", { csr: "csr" }), { message: /does not sign/ });
  certificates.entered("a", { ...shown("a2"), fromMs: 0 });
  assert.equal((await ask()).type, "renewal-refused");
});

test("through a broker that shows no certificates a device is shut out when none of its own is good", async (t) => {
  const { certificates, clock } = await bench(t);
  const shut = (device: string) => certificates.shut(device)?.count;
  assert.equal(shut("a"), undefined);
  assert.equal(shut("stranger"), "device-unknown");
  assert.equal(shut("b"), "certificate-expired", "it has none");
  await certificates.revoke("a", { reason: "stolen" });
  assert.match(certificates.shut("a")?.reason ?? "", /revoked: stolen/);
  await certificates.adopt("a", await certificates.sign("a", { csr: "csr" }));
  assert.equal(shut("a"), undefined);
  clock.advance(lifeMs);
  assert.equal(shut("a"), "certificate-expired");
});

test("what is renewed is the certificate that is proven, whatever others the device has", async (t) => {
  const { certificates, clock, ask, refusal } = await bench(t);
  clock.advance(lifeMs * 0.6);
  assert.equal((await ask("a1")).type, "certificate");
  await certificates.revoke("a", { serial: "a1", reason: "stolen" });
  assert.equal(refusal("a2", clock.now()), undefined);
  const stolen = await ask("a1");
  assert.match(stolen.type === "renewal-refused" ? stolen.reason : "renewed", /a1 of a was revoked: stolen/);
  const unknown = await ask("a7");
  assert.match(unknown.type === "renewal-refused" ? unknown.reason : "renewed", /a7 was not issued to a/);
  clock.advance(lifeMs * 0.6);
  assert.equal((await ask("a2")).type, "certificate");
});

test("what a revocation list has to name: what was revoked or belonged to a removed device, until it expires", async (t) => {
  const { certificates, devices, clock } = await bench(t);
  const listed = () => certificates.revoked().map(({ device, serial }) => `${device}:${serial}`);
  assert.deepEqual(listed(), []);
  await certificates.adopt("a", await certificates.sign("a", { csr: "csr" }));
  assert.deepEqual(listed(), ["a:a1"]);
  await devices.remove("a");
  await certificates.forget("a");
  assert.deepEqual(listed(), ["a:a1", ":a2"]);
  clock.advance(lifeMs);
  assert.deepEqual(listed(), []);
});
