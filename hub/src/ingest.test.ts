import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type Hello, type LogFields, MusterError } from "@muster/shared";
import { Certificates } from "./certificates.js";
import { EventLog } from "./events.js";
import { Ingest, type IngestDeps } from "./ingest.js";
import type { Pki } from "./ports.js";
import { CertificateStore } from "./store/certificate-store.js";
import { RecordedLink, rooms, silent } from "./testing/hub-rooms.js";

test("a disconnect that cannot be stored is counted and told, and what comes after it is taken", async () => {
  const { db, devices } = await rooms();
  const told: unknown[] = [];
  const ingest = new Ingest({
    devices,
    transfers: { forget: () => undefined },
    link: new RecordedLink(),
    log: { ...silent, error: (event: string, fields?: LogFields) => told.push([event, fields?.device]) },
  } as unknown as IngestDeps);
  // As good as a full disk.
  await db.destroy();
  devices.alive("a");
  ingest.onGone("a");
  ingest.onMessage("a", "hello", encode({} as Hello));
  await ingest.close();
  assert.deepEqual(told, [["ingest.message.failed", "a"]]);
  assert.deepEqual(ingest.counters(), { "message-invalid": 1, "message-dropped": 0, "message-failed": 1 });
});

test("an agent that cannot prove its certificate yet is told why it gets no other", async () => {
  const { db, devices, clock } = await rooms();
  const link = new RecordedLink();
  const certificates = new Certificates({
    ...{ store: await CertificateStore.open(db), clock, devices, events: new EventLog(db, clock) },
    pki: { authority: {} } as Pki,
    settings: { log: silent, deviceCertificateMs: 1 },
  });
  const ingest = new Ingest({ devices, certificates, link, log: silent } as unknown as IngestDeps);
  ingest.onMessage("a", "renew", encode({ request: "request-1", csr: "csr" }));
  await ingest.close();
  const answers = link.sent.map(({ payload }) => JSON.parse(payload.toString()) as unknown);
  const reason = "the agent is too old to prove its certificate; update it";
  assert.deepEqual(answers, [{ type: "renewal-refused", request: "request-1", reason }]);
  assert.equal(certificates.counters()["renewal-refused"], 1);
});

test("frames go past the line of reports to who asked for them, and what is no frame is counted", async () => {
  const { devices } = await rooms();
  const taken: string[] = [];
  const pulls = {
    take: (device: string, payload: Buffer) => {
      if (payload.length === 0) throw new MusterError("frame/invalid", "no frame");
      taken.push(`${device} ${String(payload)}`);
    },
  };
  const ingest = new Ingest({ devices, pulls, link: new RecordedLink(), log: silent } as unknown as IngestDeps);
  ingest.onMessage("a", "upload", Buffer.from("frame"));
  assert.deepEqual(taken, ["a frame"], "at once");
  ingest.onMessage("a", "upload", Buffer.alloc(0));
  await new Promise(setImmediate);
  assert.deepEqual(ingest.counters(), { "message-invalid": 1, "message-dropped": 0, "message-failed": 0 });
});
