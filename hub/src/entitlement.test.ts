import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware, Reported, ReportedModel, Wanted } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { RolloutStore, type StoredProgress, type StoredRollout } from "./store/rollout-store.js";
import { engineRooms, jetson, prebuilt } from "./testing/engine-rooms.js";
import { encodingsOf, rooms, storeVersion } from "./testing/hub-rooms.js";

const manifest = (release: number) => `${release}`.repeat(64);
const artifact = "d".repeat(64);

async function bench() {
  const { db, clock, devices } = await rooms();
  const { entitlement } = encodingsOf(db, clock, devices, new MemoryBlobs());
  const store = new RolloutStore(db);
  for (const release of [1, 2]) await storeVersion(db, release);
  const wanted = [{ model: "m", version: "2", manifest: { sha256: manifest(2), sizeBytes: 5 } }] as Wanted[];
  const installed = (release: number) => ({ version: `${release}`, manifest: manifest(release) });
  const of = (id: string, said: Partial<ReportedModel>, want: Wanted[] = []) => {
    const reported = { models: [{ model: "m", finished: [], ...said }] } as unknown as Reported;
    return entitlement.of({ id, wanted: want, reported });
  };
  /** A rollout of version 1 that has ended, with device `a` in a state. */
  const rollout = (state: StoredProgress["state"], over: Partial<StoredRollout> = {}, tries = 0) =>
    store.insert(
      {
        ...{
          id: `r-${state}-${tries}`,
          model: "m",
          version: "1",
          selector: "",
          state: "completed",
          createdMs: 5,
          changedMs: 5,
        },
        ...({ settings: {}, waves: [] } as unknown as Pick<StoredRollout, "settings" | "waves">),
        ...over,
      },
      [{ device: "a", wave: 0, state, tries, previous: undefined }],
    );
  return { db, of, wanted, installed, rollout, entitlement };
}

test("a device may fetch what it is wanted to run, with all that its manifest names", async () => {
  const { of, wanted } = await bench();
  const digests = await of("a", {}, wanted);
  assert.deepEqual([...digests].sort(), [manifest(2), artifact, "e".repeat(64), "f".repeat(64)].sort());
  assert.equal((await of("a", {})).size, 0);
});

test("a version that a device has to go back to may be fetched again, if a rollout once brought it there", async () => {
  const { of, wanted, installed, rollout } = await bench();
  const said = { previous: installed(1) };
  assert.ok(!(await of("a", said, wanted)).has(manifest(1)), "it only says so");
  await rollout("waiting");
  assert.ok(!(await of("a", said, wanted)).has(manifest(1)), "it was never offered it");
  await rollout("committed");
  assert.ok((await of("a", said, wanted)).has(manifest(1)));
  assert.ok(!(await of("a", {}, wanted)).has(manifest(1)), "it does not have it any more");
  assert.ok(!(await of("b", said, wanted)).has(manifest(1)), "another device was brought it");
  assert.ok(!(await of("a", { previous: { version: "9", manifest: manifest(9) } })).has(manifest(9)));
});

test("so may a version that runs there although another one is wanted", async () => {
  const { of, installed, rollout } = await bench();
  await rollout("waiting", {}, 1);
  const committed = { ...installed(1), release: 1, variant: "fp32", provider: "cpu", threads: 1 };
  assert.ok((await of("a", { committed })).has(artifact));
});

test("a rollout of what was called the same before it was removed brings no right to what is called so now", async () => {
  const { db, of, installed, rollout } = await bench();
  await rollout("committed");
  await db.updateTable("versions").set({ pushed_ms: 6 }).execute();
  assert.equal((await of("a", { previous: installed(1) })).size, 0);
});

test("the state of a device changes with what it may fetch", async () => {
  const { entitlement, installed } = await bench();
  const models = [{ model: "m", finished: [], previous: installed(1) }];
  const desired = { revision: 1, models: [] };
  const one = entitlement.stateOf({ desired });
  assert.notEqual(one, entitlement.stateOf({ desired: { ...desired, revision: 2 } }));
  assert.notEqual(one, entitlement.stateOf({ desired, reported: { models } as unknown as Reported }));
});

test("the files of a shared engine are for devices of its class that are to run the model file, while it is shared", async () => {
  const { entitlement, engines, wanted, artifact: model } = await engineRooms();
  const stored = prebuilt(model);
  const may = async (hardware: Hardware | undefined, want: Wanted[]) => {
    const digests = await entitlement.of({ id: "b", wanted: want, ...(hardware === undefined ? {} : { hardware }) });
    const files = stored.engine.files.flatMap((file) => [file.artifact.sha256, file.artifact.index.sha256]);
    const allowed = files.filter((digest) => digests.has(digest)).length;
    assert.ok(allowed === 0 || allowed === files.length);
    return allowed > 0;
  };
  await engines.put({ ...stored, signed: undefined });
  assert.equal(await may(jetson, [wanted]), false, "not signed yet");
  await engines.put(stored);
  assert.equal(await may(jetson, [wanted]), true);
  assert.equal(await may(jetson, []), false, "it is not to run the model");
  assert.equal(await may({ ...jetson, onnxruntime: { version: "1.30.0", build: "two" } }, [wanted]), false);
  const { onnxruntime: _, ...unknown } = jetson;
  assert.equal(await may(unknown, [wanted]), false, "it does not say what it runs with");
  assert.equal(await may(undefined, [wanted]), false);
  await engines.remove(stored.id);
  assert.equal(await may(jetson, [wanted]), false);
});

test("the state of a device changes when an engine comes or goes, and when it becomes one of another class", async () => {
  const { entitlement, engines, artifact: model } = await engineRooms();
  const device = { desired: { revision: 1, models: [] }, hardware: jetson };
  const states = [entitlement.stateOf(device)];
  await engines.put(prebuilt(model));
  states.push(entitlement.stateOf(device));
  await engines.remove(prebuilt(model).id);
  states.push(entitlement.stateOf(device));
  states.push(entitlement.stateOf({ ...device, hardware: { ...jetson, arch: "x64" } }));
  assert.equal(new Set(states).size, 4);
});
