import assert from "node:assert/strict";
import { test } from "node:test";
import { type Log, sha256 } from "@muster/shared";
import { Audit } from "./audit.js";
import { rooms, silent } from "./testing/hub-rooms.js";

const ines = { user: "ines", token: "t-1", address: "10.0.0.7" };

async function bench() {
  const { db, clock } = await rooms();
  const heads: string[] = [];
  const log: Log = { ...silent, info: (_event, fields) => heads.push(String(fields?.hash)) };
  const audit = await Audit.open(db, clock, log);
  const change = (subject: string, value: unknown = subject) =>
    audit.change(ines, { action: "device.label", subject, before: async () => "before" }, async () => value);
  return { db, clock, audit, change, heads };
}

test("a change is recorded with who, from where, and digests of before and after; its result is handed on", async () => {
  const { audit, change, clock } = await bench();
  assert.deepEqual(await change("cam-1", { site: "lyon" }), { site: "lyon" });
  await audit.refused(ines, "rollout.start", "POST /v1/rollouts");
  const [first, second] = await audit.list({ limit: 10 });
  assert.equal(first?.before, sha256('"before"'));
  assert.equal(first?.after, sha256('{"site":"lyon"}'));
  assert.deepEqual([first?.seq, first?.actor, first?.address, first?.atMs], [1, "ines", "10.0.0.7", clock.now()]);
  assert.deepEqual([second?.outcome, second?.before, second?.previous], ["refused", null, first?.hash]);
  assert.deepEqual((await audit.list({ limit: 10, action: "rollout.start" })).length, 1);
});

test("what fails is not recorded as done", async () => {
  const { audit } = await bench();
  const failing = audit.change(ines, { action: "a", subject: "b" }, () => Promise.reject(new Error("no")));
  await assert.rejects(failing, /no/);
  assert.deepEqual(await audit.list({ limit: 10 }), []);
});

test("a chain goes on after a restart, and many entries at once stay in one chain", async () => {
  const { db, clock, audit, change } = await bench();
  await Promise.all(Array.from({ length: 20 }, (_, at) => change(`d${at}`)));
  const again = await Audit.open(db, clock, silent);
  await again.refused(ines, "x", "y");
  const { intact, entries } = await again.verify();
  assert.deepEqual([intact, entries], [true, 21]);
  assert.equal((await audit.verify()).intact, true);
});

test("a changed, a removed and an added entry are found with their number", async () => {
  const { db, audit, change } = await bench();
  for (const subject of ["a", "b", "c", "d"]) await change(subject);
  const broken = async () => (await audit.verify()).broken;
  for (const column of ["actor", "subject", "action", "after", "address", "token", "before", "outcome"] as const) {
    const row = await db.selectFrom("audit").selectAll().where("seq", "=", 2).executeTakeFirstOrThrow();
    await db
      .updateTable("audit")
      .set({ [column]: "forged" })
      .where("seq", "=", 2)
      .execute();
    assert.deepEqual(await broken(), { seq: 2, reason: "entry 2 was changed" }, column);
    await db
      .updateTable("audit")
      .set({ [column]: row[column] })
      .where("seq", "=", 2)
      .execute();
  }
  assert.equal(await broken(), undefined);
  const third = await db.selectFrom("audit").selectAll().where("seq", "=", 3).executeTakeFirstOrThrow();
  await db.deleteFrom("audit").where("seq", "=", 3).execute();
  assert.deepEqual(await broken(), { seq: 3, reason: "entry 3 is missing" });
  await db
    .insertInto("audit")
    .values({ ...third, previous: "0".repeat(64) })
    .execute();
  assert.deepEqual(await broken(), { seq: 3, reason: "entry 3 does not follow the one before" });
});

test("a log that was cut short is found by a head noted earlier", async () => {
  const { db, audit, change, heads } = await bench();
  for (const subject of ["a", "b", "c"]) await change(subject);
  const { head } = await audit.verify();
  assert.equal(heads.at(-1), head, "the hub's own log anchors the chain");
  await change("d");
  assert.equal((await audit.verify(head)).intact, true);
  await db.deleteFrom("audit").where("seq", ">", 2).execute();
  assert.equal((await audit.verify()).intact, true);
  assert.match((await audit.verify(head)).broken?.reason ?? "", /removed from its end/);
});
