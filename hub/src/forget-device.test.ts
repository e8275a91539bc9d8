import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateInvite } from "@muster/shared";
import { Audit } from "./audit.js";
import { Certificates } from "./certificates.js";
import { Enrolment } from "./enrolment.js";
import { EventLog } from "./events.js";
import { CertificateStore } from "./store/certificate-store.js";
import { Telemetry } from "./telemetry.js";
import { RecordedLink, rooms, silent, windowOf } from "./testing/hub-rooms.js";

const device = "unmistakable-7";

test("after a device is removed no table holds anything of it but the audit log, and that only its name", async () => {
  const { db, clock, devices } = await rooms();
  const events = new EventLog(db, clock);
  const telemetry = new Telemetry(db, clock, devices);
  const audit = await Audit.open(db, clock, silent);
  const trust = { serverCa: "CA", pin: "pin" };
  const hub = { link: new RecordedLink(), trust, roots: [], enrolmentUrl: "https://h:1", audit, log: silent };
  const store = await CertificateStore.open(db);
  const settings = { log: silent, deviceCertificateMs: 86_400_000 };
  const certificates = new Certificates({ ...{ store, clock, devices, events, settings }, pki: {} as never });
  const enrolment = new Enrolment({ db, clock, devices, events, certificates, hub });
  const labels = { owner: "labelled-unmistakable-7" };

  await enrolment.invite(CreateInvite.parse({ device, labels, uses: 5 }), { user: "ann", scope: "" });
  await devices.add(device, labels);
  await certificates.adopt(device, { certificate: "", serial: "0a", expiresMs: clock.now() + 1000 });
  await devices.hello(device, { agentVersion: "unmistakable-7" } as never);
  await telemetry.take(device, "s", [windowOf(1, clock.now(), { classes: { "unmistakable-7": 10 } })]);
  await events.take(device, "s", [{ seq: 1, atMs: 1, kind: "model.trial", fields: { of: device } }]);
  await events.append(device, "device.joined", { from: "10.0.0.1" });
  const drifting = { device, model: "m", version: "1", feature: "brightness", since_ms: 1, psi: 1 };
  await db.insertInto("drifting").values(drifting).execute();
  await db
    .insertInto("rollout_devices")
    .values({
      ...{ rollout_id: "r-1", device, wave: 0, state: "failed", tries: 1 },
      ...{ previous: null, offered_ms: null, started_ms: null, error: '{"code":"x","detail":"y"}' },
    })
    .execute();
  await audit.change({ user: "ann" }, { action: "device.label", subject: device }, async () => labels);

  const holding = async () => {
    const found: string[] = [];
    for (const { name } of await db.introspection.getTables()) {
      const rows = await db
        .selectFrom(name as "devices")
        .selectAll()
        .execute();
      const kept = rows.filter((row) => (row as { kind?: string }).kind !== "device.removed");
      if (JSON.stringify(kept).includes("unmistakable-7")) found.push(name);
    }
    return found.sort();
  };
  const everywhere = [
    "audit",
    "certificates",
    "devices",
    "drifting",
    "events",
    "invites",
    "rollout_devices",
    "windows",
  ];
  assert.deepEqual(await holding(), everywhere);

  await enrolment.remove(device);
  assert.deepEqual(await holding(), ["audit"]);
  const rows = JSON.stringify(await db.selectFrom("audit").selectAll().execute());
  assert.ok(!rows.includes("labelled-"), "labels are in the audit log as digests only");
  const [removed] = await events.list({ kind: "device.removed", limit: 1 });
  assert.deepEqual(removed?.fields, { device }, "that it was removed is told with its name and nothing else");
});
