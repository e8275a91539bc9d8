import assert from "node:assert/strict";
import { test } from "node:test";
import { type BlobRef, Manifest, sha256 } from "@muster/shared";
import { MemoryBlobs, MemoryDoc } from "@muster/shared/testing";
import { storeBytes } from "./chunking.js";
import { CountedBlobs } from "./counted-blobs.js";
import { Garbage } from "./garbage.js";
import type { StoredEngine } from "./store/engine-store.js";
import { StoredBlobs } from "./stored-blobs.js";
import { Storing } from "./storing.js";
import { prebuilt } from "./testing/engine-rooms.js";
import { encodingsOf, manifestOf, rooms, silent } from "./testing/hub-rooms.js";

/** A store that may be made to fail, as a process that is killed would: from the nth delete on. */
class Killed extends MemoryBlobs {
  deletesLeft = Number.POSITIVE_INFINITY;

  override async delete(digest: string): Promise<void> {
    this.deletesLeft -= 1;
    if (this.deletesLeft < 0) throw new Error("killed");
    await super.delete(digest);
  }
}

/** A hub's rooms; over a store that another database has filled, when it is given. */
async function bench({ disk = new Killed(), round = new MemoryDoc({ round: 0 }), hub = rooms() } = {}) {
  const { db, clock, devices } = await hub;
  const stored = await StoredBlobs.open(db, round);
  const artifacts = await CountedBlobs.open(disk, { note: (digest) => stored.note(digest) });
  const storing = new Storing(() => stored.named());
  const { catalog, encodings, engines } = encodingsOf(db, clock, devices, artifacts, storing);
  const garbage = new Garbage({
    ...{ db, artifacts, stored, catalog, encodings, engines, storing },
    clock,
    log: silent,
  });
  const store = (text: string): Promise<BlobRef> => storeBytes(artifacts, Buffer.from(text));
  /** A manifest whose blobs are in the store; nothing names it yet. */
  const laid = async (release: number): Promise<Manifest> => {
    const manifest = manifestOf(release);
    const [variant, sample] = [manifest.variants[0], manifest.selfTest.samples[0]];
    assert.ok(variant !== undefined && sample !== undefined);
    const artifact = { ...(await store(`artifact ${release}`)), index: await store(`index ${release}`) };
    const samples = [{ ...sample, input: await store(`sample ${release}`) }];
    const selfTest = { ...manifest.selfTest, samples };
    return Manifest.parse({ ...manifest, variants: [{ ...variant, artifact }], selfTest });
  };
  const push = async (release: number) => {
    const signed = { payloadType: "", payload: `${release}`, signatures: [{ keyid: "k", sig: "s" }] };
    return catalog.record(await laid(release), signed, "c");
  };
  const left = async () => {
    const digests: string[] = [];
    for await (const { digest } of artifacts.list()) digests.push(digest);
    return digests.sort();
  };
  /** A shorter form of a release's artifact. */
  const form = async (release: number, base: string) => {
    const [data, index] = [await store(`data ${release} ${base}`), await store(`table ${release} ${base}`)];
    const row = { artifact: sha256(`artifact ${release}`), kind: base === "" ? "deflate" : "delta", base };
    const sizes = { data_bytes: data.sizeBytes, index_bytes: index.sizeBytes };
    const digests = { data_digest: data.sha256, index_digest: index.sha256 };
    await db
      .insertInto("encodings")
      .values({ ...row, ...digests, ...sizes })
      .execute();
  };
  const forms = async () => {
    const rows = await db.selectFrom("encodings").selectAll().execute();
    return rows.map(({ artifact, base }) => [artifact, base]);
  };
  return {
    db,
    devices,
    clock,
    disk,
    round,
    stored,
    catalog,
    encodings,
    engines,
    storing,
    garbage,
    store,
    laid,
    push,
    left,
    form,
    forms,
  };
}

test("what a killed push left goes, and what a version or a draft names stays", async () => {
  const { db, garbage, push, laid, left } = await bench();
  await push(1);
  const draft = await laid(2);
  const payload = Buffer.from(JSON.stringify(draft)).toString("base64");
  const row = { payload_digest: "p", payload, content_digest: "c", used: "{}", created_ms: 0 };
  await db.insertInto("drafts").values(row).execute();
  const named = await left();
  await laid(3);
  assert.equal((await left()).length, named.length + 3);
  assert.equal(await garbage.sweep(), true);
  assert.deepEqual(await left(), named);
  const bytes = ["artifact 3", "index 3", "sample 3"].reduce((sum, { length }) => sum + length, 0);
  const counters = { "garbage-blobs-removed": 3, "garbage-bytes-removed": bytes, "garbage-forms-removed": 0 };
  assert.deepEqual(garbage.counters(), counters);
  await db.deleteFrom("drafts").execute();
  await garbage.sweep();
  assert.equal((await left()).length, 4, "manifest, artifact, index and sample of version 1");
});

test("a push that is under way loses nothing, and is swept after soon when it fails", async () => {
  const { garbage, storing, laid, push, left, clock } = await bench();
  await push(9);
  await garbage.sweep();
  const named = await left();
  let end: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    end = resolve;
  });
  const pushing = storing.during(async () => {
    await laid(1);
    await wait;
    throw new Error("the bundle is not what it should be");
  });
  clock.advance(3_600_000);
  await garbage.sweepIfDue();
  end();
  await assert.rejects(pushing, /bundle/);
  assert.equal((await left()).length, named.length + 3);
  await garbage.sweepIfDue();
  assert.deepEqual(await left(), named);
});

test("an older database takes nothing away that was stored after it, and says how much that is", async () => {
  const newer = await bench();
  await newer.push(1);
  await newer.push(2);
  await newer.laid(3);
  const all = await newer.left();
  const { garbage, push, laid, left, catalog } = await bench({ disk: newer.disk, round: newer.round });
  await garbage.sweep();
  assert.deepEqual(await left(), all, "the artifacts of a lost database");
  await push(1);
  await laid(4);
  await garbage.sweep();
  assert.deepEqual(await left(), all, "what this database has stored goes, and nothing else");
  const bytes = async (digests: readonly string[]) =>
    (await Promise.all(digests.map((digest) => newer.disk.size(digest)))).reduce<number>((sum, n) => sum + (n ?? 0), 0);
  assert.equal(garbage.unknown.blobs, 7);
  await push(2);
  await garbage.sweep();
  const pieces = ["artifact 3", "index 3", "sample 3"].map((text) => sha256(text));
  assert.deepEqual(garbage.unknown, { blobs: 3, bytes: await bytes(pieces) });
  for (const version of ["1", "2"]) await catalog.remove("m", version);
  await garbage.sweep();
  assert.deepEqual(await left(), pieces.sort());
});

test("a backup of the database that was taken during a push costs nothing that the push went on to name", async () => {
  const newer = await bench();
  const backup = await rooms();
  await newer.push(1);
  await newer.storing.during(async () => {
    await newer.laid(2);
    for (const table of ["meta", "versions", "stored_blobs"] as const)
      for (const row of await newer.db.selectFrom(table).selectAll().execute())
        await backup.db.insertInto(table).values(row).execute();
    await newer.push(2);
  });
  const all = await newer.left();
  const { garbage, left, laid } = await bench({ ...newer, hub: Promise.resolve(backup) });
  await laid(3);
  await garbage.sweep();
  assert.deepEqual(await left(), all, "what this database stores now is its own again");
  assert.equal(garbage.unknown.blobs, 4);
});

test("a hub that is killed and started again goes on knowing what it has stored", async () => {
  const { db, clock, devices, disk, round, laid, left } = await bench();
  await laid(1);
  const again = await bench({ disk, round, hub: Promise.resolve({ db, clock, devices }) });
  await again.garbage.sweep();
  assert.deepEqual(await left(), []);
});

test("versions of a hub that kept no account of what it stored are known from the first sweep on", async () => {
  const { db, garbage, push, left, stored, catalog } = await bench();
  await push(1);
  await db.deleteFrom("stored_blobs").execute();
  await garbage.sweep();
  assert.equal(garbage.unknown.blobs, 0);
  await catalog.remove("m", "1");
  await garbage.sweep();
  assert.deepEqual(await left(), []);
  assert.deepEqual([...(await stored.all())], [], "the account holds what is there and no more");
});

test("shorter forms go with releases that are neither new nor wanted, and deltas with their base", async () => {
  const { db, garbage, encodings, push, form, forms, left } = await bench();
  const pushed = [];
  for (const release of [1, 2, 3, 4, 5, 6]) pushed.push(await push(release));
  const digest = (release: number) => sha256(`artifact ${release}`);
  for (const release of [1, 2, 5]) await form(release, "");
  await form(5, digest(2));
  await form(5, sha256("gone"));
  const wanted = [{ model: "m", version: "2", manifest: { sha256: pushed[1]?.manifestDigest }, attempt: "r" }];
  await db
    .updateTable("devices")
    .set({ desired_models: JSON.stringify(wanted) })
    .where("id", "=", "a")
    .execute();
  assert.ok(await encodings.packing(digest(1)), "it is sent compressed, and the hub remembers where that lies");
  const before = await left();
  await garbage.sweep();
  assert.deepEqual(
    (await forms()).sort(),
    [
      [digest(2), ""],
      [digest(5), ""],
      [digest(5), digest(2)],
    ].sort(),
  );
  assert.equal(await encodings.packing(digest(1)), undefined, "it is sent as it is now");
  assert.equal((await left()).length, before.length - 4);
});

test("an engine stays while a version names its model file, and one that nobody signs for a day", async () => {
  const { garbage, engines, catalog, clock, push, left, storing, store } = await bench();
  await push(1);
  const model = sha256("artifact 1");
  const laid = async (id: string, artifact: string, over: Partial<StoredEngine> = {}) => {
    const index = await store(`index of ${id}`);
    const files = [{ name: "graph.engine", artifact: { ...(await store(`engine ${id}`)), index } }];
    const engine = { ...prebuilt(artifact, clock.now()).engine, files, engineClass: sha256(id) };
    const payload = Buffer.from(JSON.stringify(engine)).toString("base64");
    await engines.put({ ...prebuilt(artifact), id, engine, payload, ...over });
  };
  await storing.during(async () => {
    await laid("e-0000000000000001", model);
    await laid("e-0000000000000002", model, { signed: undefined });
    await laid("e-0000000000000003", sha256("artifact of no version"));
  });
  const ids = async () => (await engines.list()).map(({ id }) => id.at(-1)).sort();
  await garbage.sweep();
  assert.deepEqual(await ids(), ["1", "2"]);
  assert.equal((await left()).length, 4 + 2 * 2);
  clock.advance(86_400_001);
  await garbage.sweep();
  assert.deepEqual(await ids(), ["1"]);
  assert.equal((await left()).length, 4 + 2);
  const { changes } = engines;
  await catalog.remove("m", "1");
  await garbage.sweep();
  assert.deepEqual([await ids(), await left()], [[], []]);
  assert.ok(engines.changes > changes, "what devices may fetch is looked up anew");
});

test("a sweep that is killed anywhere takes nothing that is named, and the next one ends it", async () => {
  const { garbage, disk, push, laid, left, form, forms } = await bench();
  await push(1);
  const named = await left();
  for (let kills = 0; kills < 6; kills += 1) {
    await laid(7);
    await form(7, "");
    disk.deletesLeft = kills;
    await garbage.sweep().catch(() => undefined);
    const after = await left();
    assert.ok(
      named.every((digest) => after.includes(digest)),
      `killed before delete ${kills + 1}`,
    );
    disk.deletesLeft = Number.POSITIVE_INFINITY;
    await garbage.sweep();
    assert.deepEqual([await left(), await forms()], [named, []]);
  }
});
