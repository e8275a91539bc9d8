import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { isProvenRenewal, type Log, type ProvenRenewal, type RenewalAnswer } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import type { Credentials } from "./identity-store.js";
import { Renewal } from "./renewal.js";
import { selfSigned } from "./testing/self-signed.js";

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const dayMs = 86_400_000;

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let at = 0; at < 20; at += 1) await setImmediate();
}

async function bench(t: TestContext) {
  const clock = new FakeClock();
  const span = (fromMs: number) => ({ fromMs, expiresMs: fromMs + 90 * dayMs });
  const first = await selfSigned("a", span(clock.now()));
  let stored = { device: "a", certificate: first.certificate, privateKey: first.privateKey } as unknown as Credentials;
  const asked: ProvenRenewal[] = [];
  const told: string[] = [];
  const link = {
    connected: true,
    reconnects: 0,
    renew: async (request: ProvenRenewal) => void asked.push(request),
    reconnect: async () => {
      link.reconnects += 1;
    },
  };
  // Made beforehand, so that nothing here waits for real time.
  const nextSpan = span(clock.now() + 60 * dayMs);
  const made = await Promise.all(Array.from({ length: 5 }, () => selfSigned("a", nextSpan)));
  let last = first;
  const renewal = new Renewal({
    identity: {
      load: async () => stored,
      replace: async (next) => {
        stored = { ...stored, ...next };
      },
    },
    ...{ link, clock, log: silent },
    newKeyAndRequest: async () => {
      last = made.pop() ?? last;
      return { privateKey: last.privateKey, csr: "csr" };
    },
    tell: async (kind) => void told.push(kind),
  });
  renewal.start();
  t.after(() => renewal.close());
  const days = async (count: number) => {
    clock.advance(count * dayMs);
    await settle();
  };
  const answer = async (given: Partial<RenewalAnswer>) => {
    const { request } = asked.at(-1) ?? { request: "" };
    renewal.take({ request, certificate: last.certificate, ca: "CA", type: "certificate", ...given } as RenewalAnswer);
    await settle();
  };
  return { clock, link, asked, told, days, answer, serial: () => new X509Certificate(stored.certificate).serialNumber };
}

test("a certificate is renewed at two thirds of its life, stored, and used at once", async (t) => {
  const { days, asked, answer, told, link, serial } = await bench(t);
  const before = serial();
  await days(59);
  assert.equal(asked.length, 0);
  await days(2);
  assert.equal(asked.length, 1);
  assert.ok(
    asked[0] !== undefined && isProvenRenewal(asked[0]),
    "it shows the present certificate, and that the key is its own",
  );
  assert.equal(new X509Certificate(asked[0].certificate).serialNumber, before);
  assert.equal(link.reconnects, 0);
  await answer({});
  assert.deepEqual([told, link.reconnects], [["identity.renewed"], 1]);
  assert.notEqual(serial(), before);
  await days(58);
  assert.equal(asked.length, 1);
});

test("a refusal, a foreign certificate and silence change nothing and are tried again", async (t) => {
  const { days, asked, answer, told, link, serial, clock } = await bench(t);
  const before = serial();
  const { certificate } = await selfSigned("other", { fromMs: 0, expiresMs: clock.now() + 100 * dayMs });
  await days(61);
  await answer({ type: "renewal-refused", reason: "too busy" } as never);
  assert.equal(told.length, 1);
  await days(1);
  await answer({ certificate });
  assert.equal(told.length, 2);
  await days(1);
  assert.equal(asked.length, 3);
  await days(1);
  assert.deepEqual(told, Array(3).fill("identity.renewal-failed"), "no answer");
  assert.deepEqual([serial(), link.reconnects], [before, 0]);
  await days(1);
  assert.equal(asked.length, 4);
  await answer({ request: "an earlier one" } as never);
  assert.equal(serial(), before);
  await answer({});
  assert.notEqual(serial(), before);
});

test("without a connection it waits, and asks when there is one", async (t) => {
  const { days, asked, link, clock } = await bench(t);
  link.connected = false;
  await days(61);
  assert.equal(asked.length, 0);
  link.connected = true;
  clock.advance(1000);
  await settle();
  assert.equal(asked.length, 1);
});
