import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { openAuthority } from "./adapters/x509-ca.js";
import { HubConfig } from "./config.js";
import { RevocationList } from "./revocation-list.js";
import { silent } from "./testing/hub-rooms.js";

async function bench(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "muster-crl-"));
  t.after(() => rm(folder, { recursive: true }));
  const clock = new FakeClock(Date.parse("2030-01-01"));
  const authority = await openAuthority(folder, { clock, deviceMs: 86_400_000 });
  const path = join(folder, "broker", "crl.pem");
  const revoked: { device: string; serial: string; revokedMs: number }[] = [];
  const kicked: string[] = [];
  const link = { kick: (device: string) => kicked.push(device) };
  const list = new RevocationList({
    ...{ authority, clock, path, link, log: silent },
    certificates: { revoked: () => revoked },
  });
  return { list, clock, path, revoked, kicked, text: () => readFile(path, "utf8") };
}

test("the list is written at the start, and again when a certificate is revoked, a second later at the earliest", async (t) => {
  const { list, clock, revoked, text } = await bench(t);
  await list.refresh();
  const first = await text();
  assert.match(first, /^-----BEGIN X509 CRL-----/);
  await list.refresh();
  assert.equal(await text(), first);
  revoked.push({ device: "a", serial: "4a", revokedMs: clock.now() });
  await list.refresh();
  assert.equal(await text(), first, "of two lists of the same second OpenSSL would go on with the first");
  clock.advance(1100);
  await list.refresh();
  assert.notEqual(await text(), first);
});

test("who has a revoked certificate is cut off when the broker has read the list, and only once", async (t) => {
  const { list, clock, revoked, kicked } = await bench(t);
  revoked.push({ device: "before", serial: "40", revokedMs: 0 });
  await list.refresh();
  clock.advance(10_000);
  revoked.push({ device: "a", serial: "4a", revokedMs: clock.now() });
  revoked.push({ device: "", serial: "4b", revokedMs: clock.now() });
  await list.refresh();
  assert.deepEqual(kicked, []);
  clock.advance(5000);
  await list.refresh();
  await list.refresh();
  assert.deepEqual(kicked, ["a"]);
});

test("a hub that does not sign for its CA makes no list", () => {
  const config = HubConfig.parse({ broker: { url: "mqtts://b", crlFile: "crl.pem" } });
  assert.throws(() => RevocationList.of(config, { authority: undefined } as never, {} as never), {
    code: "config/invalid",
    message: /broker.crlFile: .* give that one to the broker/,
  });
});
