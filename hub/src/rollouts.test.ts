import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reported, ReportedModel } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { EventLog } from "./events.js";
import { Rollouts } from "./rollouts.js";
import { sightOf } from "./sighting.js";
import { RolloutStore } from "./store/rollout-store.js";
import { desiredOf, encodingsOf, RecordedLink, rooms, silent, storeVersion } from "./testing/hub-rooms.js";

async function bench() {
  const { db, clock, devices } = await rooms();
  const { catalog } = encodingsOf(db, clock, devices, new MemoryBlobs());
  const { desired } = await desiredOf({ db, clock, devices }, new RecordedLink(), 600_000);
  const store = new RolloutStore(db);
  const rollouts = new Rollouts({
    ...{ store, catalog, devices, desired, events: new EventLog(db, clock) },
    encodings: { kick: () => undefined },
    settings: { clock, log: silent },
  });
  await storeVersion(db, 1);
  return { clock, store, rollouts, devices };
}

test("rollouts are listed page by page, newest first, also those that began at the same time", async () => {
  const { clock, store, rollouts } = await bench();
  const settings = { model: "m", version: "1", settings: {} };
  const { id } = await rollouts.start({ ...settings, selector: "site=lyon" });
  const first = await store.find(id);
  assert.ok(first !== undefined);
  for (let at = 0; at < 8; at += 1) {
    const createdMs = clock.now() + Math.floor(at / 3);
    const selector = at % 2 === 0 ? "site=lyon" : "site=nice";
    await store.insert({ ...first.rollout, id: `s-${at}`, selector, createdMs }, []);
  }
  const all = ["s-7", "s-6", "s-5", "s-4", "s-3", "s-2", "s-1", "s-0", id];
  const pages = async (limit: number, visible: (selector: string) => boolean) => {
    const ids: string[][] = [];
    for (let before: string | undefined; ; ) {
      const { rollouts: page, next } = await rollouts.list({ limit, before }, visible);
      ids.push(page.map((rollout) => rollout.id));
      if (next === undefined) return ids;
      before = next;
    }
  };
  assert.deepEqual(await pages(4, () => true), [all.slice(0, 4), all.slice(4, 8), all.slice(8)]);
  assert.deepEqual(await pages(9, () => true), [all]);
  const lyon = (selector: string) => selector === "site=lyon";
  assert.deepEqual(await pages(2, lyon), [["s-6", "s-4"], ["s-2", "s-0"], [id]]);
  assert.deepEqual(await pages(5, () => false), [[]]);
  await assert.rejects(
    rollouts.list({ limit: 5, before: "never" }, () => true),
    { code: "rollout/unknown" },
  );
  assert.equal(await rollouts.activeCount(), 9);
});

test("many who want rollouts to go on at the same time share one look at the fleet", async () => {
  const { rollouts, devices } = await bench();
  await rollouts.start({ model: "m", version: "1", selector: "", settings: {} });
  let reads = 0;
  const list = devices.list.bind(devices);
  devices.list = (selector) => {
    reads += 1;
    return list(selector);
  };
  await Promise.all(Array.from({ length: 50 }, () => rollouts.tick()));
  assert.equal(reads, 1);
  await rollouts.tick();
  assert.equal(reads, 2);
});

test("how far a transfer is moves no rollout; what is committed, tried or ended does", () => {
  const candidate = { attempt: "r.0", version: "1", manifest: "1".repeat(64), phase: "downloading" } as const;
  const of = (said: Partial<ReportedModel>) => {
    const models = [{ model: "m", finished: [], ...said }];
    return sightOf({ models } as Pick<Reported, "models">);
  };
  const before = of({ candidate });
  assert.equal(of({ candidate: { ...candidate, doneBytes: 5, totalBytes: 10 }, serving: "1" }), before);
  assert.notEqual(of({ candidate: { ...candidate, attempt: "r.1" } }), before);
  assert.notEqual(of({}), before);
  const ended = { attempt: "r.0", version: "1", manifest: "1".repeat(64), outcome: "failed", atMs: 0 } as const;
  assert.notEqual(of({ candidate, finished: [ended] }), before);
});
