import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reported, ReportedModel, Wanted } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { EventLog } from "./events.js";
import { Removal } from "./removal.js";
import { Rollouts } from "./rollouts.js";
import { RolloutStore } from "./store/rollout-store.js";
import { desiredOf, encodingsOf, RecordedLink, rooms, silent, storeVersion } from "./testing/hub-rooms.js";

const manifest = (release: number) => `${release}`.repeat(64);

/** Versions 1, 2 and 3 of a model, and devices that say what they are told to. */
async function bench() {
  const { db, clock, devices } = await rooms();
  const { catalog, encodings } = encodingsOf(db, clock, devices, new MemoryBlobs());
  const { desired } = await desiredOf({ db, clock, devices }, new RecordedLink(), 600_000);
  const rollouts = new Rollouts({
    ...{ store: new RolloutStore(db), catalog, devices, desired, encodings },
    events: new EventLog(db, clock),
    settings: { clock, log: silent },
  });
  for (const release of [1, 2, 3]) await storeVersion(db, release);
  let sweeps = 0;
  const disk = { broken: false };
  const sweep = async () => {
    sweeps += 1;
    if (disk.broken) throw new Error("the disk is broken");
    return true;
  };
  const told: string[] = [];
  const removal = new Removal({
    ...{ catalog, devices, rollouts, garbage: { sweep } },
    publishing: { whileStill: (work) => work() },
    log: { ...silent, error: (event) => told.push(event) },
  });
  let seq = 0;
  const report = async (device: string, said: Partial<ReportedModel>) => {
    seq += 1;
    const reported: Reported = {
      ...{ seq, bootId: "boot", revision: 0, models: [{ model: "m", finished: [], ...said }] },
      runner: { state: "serving", restarts: 0 },
      spool: { windows: 0, events: 0, dropped: 0 },
    };
    await devices.report(device, reported);
  };
  const installed = (release: number) => ({ version: `${release}`, manifest: manifest(release) });
  const committed = (release: number) => ({
    ...installed(release),
    ...{ release, variant: "fp32", provider: "cpu", threads: 1 },
  });
  const inUse = (version: string, message: RegExp, scope = "") =>
    assert.rejects(removal.remove("m", version, scope), { code: "model/in-use", message });
  const versions = async () => (await catalog.list()).map(({ version }) => version);
  return {
    desired,
    catalog,
    rollouts,
    removal,
    report,
    installed,
    committed,
    inUse,
    versions,
    sweeps: () => sweeps,
    disk,
    told,
  };
}

test("a version that nobody needs goes, its release number is not given again, and its bytes are collected", async () => {
  const { removal, catalog, versions, sweeps } = await bench();
  await removal.remove("m", "3");
  assert.deepEqual(await versions(), ["2", "1"]);
  assert.equal(await catalog.nextRelease("m"), 4);
  await removal.remove("m", "1");
  assert.equal(await catalog.nextRelease("m"), 4);
  assert.equal(sweeps(), 2);
  await assert.rejects(removal.remove("m", "1"), { code: "model/unknown" });
});

test("a version is gone also when its bytes cannot be collected now, which is told", async () => {
  const { removal, versions, sweeps, disk, told } = await bench();
  disk.broken = true;
  await removal.remove("m", "3");
  assert.deepEqual([await versions(), sweeps(), told], [["2", "1"], 1, ["garbage.sweep.failed"]]);
});

test("a version that a device is to run, runs, tries or keeps to go back to stays, and the device is named", async () => {
  const { desired, report, installed, committed, inUse, versions } = await bench();
  const wanted: Wanted = {
    ...{ model: "m", version: "1", attempt: "r.0", probationMs: 0 },
    manifest: { sha256: manifest(1), sizeBytes: 5 },
  };
  await desired.want("a", "m", wanted);
  await inUse("1", /^m 1 is still needed: device a is to run it$/);
  await desired.want("a", "m", undefined);
  await report("a", { committed: committed(1) });
  await inUse("1", /device a runs it$/);
  await report("a", { serving: "1" });
  await inUse("1", /device a runs it$/);
  await report("a", { committed: committed(2), previous: installed(1) });
  await inUse("1", /device a keeps it to go back to$/);
  await report("a", { candidate: { attempt: "r.0", phase: "trial", ...installed(1) } });
  await report("b", { committed: committed(1) });
  await inUse("1", /device a is trying it; device b runs it$/);
  await inUse("1", /: device a is trying it; 1 device\(s\) or rollout\(s\) beyond 'site=lyon'$/, "site=lyon");
  assert.deepEqual(await versions(), ["3", "2", "1"]);
});

test("a version that an open rollout brings, or would take devices back to, stays until the rollout has ended", async () => {
  const { desired, rollouts, removal, inUse, report, committed } = await bench();
  const { id } = await rollouts.start({ model: "m", version: "2", selector: "site=lyon", settings: {} });
  await inUse("2", new RegExp(`rollout ${id} has not ended; device a is to run it$`));
  await rollouts.act(id, "halt");
  await report("a", { committed: committed(3), finished: [] });
  await rollouts.tick();
  await desired.want("a", "m", undefined);
  await removal.remove("m", "2");
});
