import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog } from "./events.js";
import { Telemetry } from "./telemetry.js";
import { rooms, windowOf } from "./testing/hub-rooms.js";

const query = { lastMs: 3_600_000, by: "device" } as const;

test("a window that comes twice counts once", async () => {
  const { db, clock, devices } = await rooms();
  const telemetry = new Telemetry(db, clock, devices);
  const batch = [windowOf(1, clock.now()), windowOf(2, clock.now())];
  await telemetry.take("a", "stream-1", batch);
  await telemetry.take("a", "stream-1", [...batch, windowOf(3, clock.now())]);
  const [row] = await telemetry.latency(query);
  assert.equal(row?.inputs, 30);
});

test("the same number in another stream, or of another device, is another window", async () => {
  const { db, clock, devices } = await rooms();
  const telemetry = new Telemetry(db, clock, devices);
  for (const [device, stream] of [
    ["a", "stream-1"],
    ["a", "stream-2"],
    ["b", "stream-1"],
  ] as const) {
    await telemetry.take(device, stream, [windowOf(1, clock.now())]);
  }
  const rows = await telemetry.latency(query);
  assert.deepEqual(
    rows.map(({ device, inputs }) => [device, inputs]),
    [
      ["a", 20],
      ["b", 10],
    ],
  );
  const [all] = await telemetry.latency({ ...query, by: "version" });
  assert.equal(all?.inputs, 30);
  assert.deepEqual(
    (await telemetry.latency({ ...query, selector: "site=nice" })).map(({ device }) => device),
    ["b"],
  );
});

test("percentiles, throughput and classes are those of the windows", async () => {
  const { db, clock, devices } = await rooms();
  const telemetry = new Telemetry(db, clock, devices);
  await telemetry.take("a", "stream-1", [
    windowOf(1, clock.now()),
    windowOf(2, clock.now() + 1000, { classes: { up: 4, down: 6 } }),
  ]);
  const [row] = await telemetry.latency(query);
  assert.ok(Math.abs((row?.stages.run?.p95 ?? 0) - 10) < 0.2);
  assert.equal(row?.perSecond, 10);
  assert.deepEqual(row?.classes, { up: 14, down: 6 });
});

test("what is too old, or too much, is deleted", async () => {
  const { db, clock, devices } = await rooms();
  const telemetry = new Telemetry(db, clock, devices);
  const events = new EventLog(db, clock);
  await telemetry.take("a", "stream-1", [windowOf(1, clock.now())]);
  await events.append("a", "old.event", {});
  clock.advance(10_000);
  await telemetry.take(
    "a",
    "stream-1",
    Array.from({ length: 9 }, (_, at) => windowOf(at + 2, clock.now() + at)),
  );
  for (let at = 0; at < 5; at += 1) await events.append("a", "new.event", { at });
  assert.equal(await telemetry.prune(5000, 1000), 2);
  assert.equal(await telemetry.prune(60_000, 4), 5 + 1);
  const [row] = await telemetry.latency(query);
  assert.equal(row?.inputs, 40);
  assert.deepEqual(
    (await events.list({ limit: 100 })).map(({ fields }) => fields.at),
    [1, 2, 3, 4],
  );
});

test("events keep their order, come once, and can be followed", async () => {
  const { db, clock } = await rooms();
  const events = new EventLog(db, clock);
  const batch = [1, 2, 3].map((seq) => ({ seq, atMs: seq, kind: "model.trial", fields: { seq } }));
  await events.take("a", "stream-1", batch);
  await events.take("a", "stream-1", batch);
  await events.append(undefined, "hub.started", {});
  const all = await events.list({ limit: 100 });
  assert.deepEqual(
    all.map(({ kind }) => kind),
    ["model.trial", "model.trial", "model.trial", "hub.started"],
  );
  assert.deepEqual(await events.list({ limit: 2 }), all.slice(2));
  assert.deepEqual(await events.list({ limit: 100, after: all[0]?.id ?? 0 }), all.slice(1));
  assert.deepEqual((await events.list({ limit: 100, device: "a", kind: "model.trial" })).length, 3);
});
