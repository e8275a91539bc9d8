import assert from "node:assert/strict";
import { test } from "node:test";
import { Reported } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { DriftWatch } from "./drift.js";
import { EventLog } from "./events.js";
import { Telemetry } from "./telemetry.js";
import { catalogOf, rooms, silent, storeVersion, windowOf } from "./testing/hub-rooms.js";

const horizonMs = 60_000;

async function bench() {
  const { db, clock, devices } = await rooms();
  await storeVersion(db, 1);
  const telemetry = new Telemetry(db, clock, devices);
  const events = new EventLog(db, clock);
  const catalog = catalogOf(db, clock, devices, new MemoryBlobs());
  const drift = new DriftWatch({
    db,
    catalog,
    devices,
    telemetry,
    events,
    settings: { clock, log: silent, horizonMs },
  });
  let seq = 0;
  const see = async (device: string, brightness: [number, number]) => {
    clock.advance(1000);
    seq += 1;
    await telemetry.take(device, "stream-1", [
      windowOf(seq, clock.now(), { inputs: brightness[0] + brightness[1], features: { brightness } }),
    ]);
    await drift.check(device, "m", "1");
  };
  const kinds = async () => (await events.list({ limit: 100 })).map(({ kind, device }) => `${device} ${kind}`);
  return { clock, devices, drift, see, kinds };
}

test("drift is noted once when it begins, with the feature, and once when it ends", async () => {
  const { see, kinds, clock } = await bench();
  await see("a", [50, 50]);
  assert.deepEqual(await kinds(), []);
  await see("a", [200, 0]);
  await see("a", [200, 0]);
  assert.deepEqual(await kinds(), ["a drift.began"]);
  clock.advance(horizonMs);
  await see("a", [50, 50]);
  assert.deepEqual(await kinds(), ["a drift.began", "a drift.ended"]);
});

test("the report says since when, and leaves other devices alone", async () => {
  const { see, drift, devices, clock } = await bench();
  const report = (seq: number) =>
    Reported.parse({
      seq,
      bootId: "x",
      revision: 1,
      models: [{ model: "m", serving: "1", finished: [] }],
      runner: { state: "serving", restarts: 0 },
      spool: { windows: 0, events: 0, dropped: 0 },
    });
  for (const device of ["a", "b"]) await devices.report(device, report(1));
  await see("b", [60, 60]);
  await see("a", [200, 0]);
  const sinceMs = clock.now();
  await see("a", [100, 0]);
  const rows = await drift.report({});
  assert.deepEqual(
    rows.map(({ device, features }) => [device, features[0]?.feature, features[0]?.drifting, features[0]?.sinceMs]),
    [
      ["a", "brightness", true, sinceMs],
      ["b", "brightness", false, undefined],
    ],
  );
  assert.deepEqual(
    (await drift.report({ selector: "site=nice" })).map(({ device }) => device),
    ["b"],
  );
});

test("a handful of inputs begins nothing and ends nothing", async () => {
  const { see, kinds, clock } = await bench();
  await see("a", [20, 0]);
  assert.deepEqual(await kinds(), []);
  await see("a", [200, 0]);
  clock.advance(horizonMs);
  await see("a", [10, 10]);
  assert.deepEqual(await kinds(), ["a drift.began"]);
});
