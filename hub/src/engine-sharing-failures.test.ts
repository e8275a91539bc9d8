import assert from "node:assert/strict";
import { test } from "node:test";
import { prebuiltEngineType, seal, sha256 } from "@muster/shared";
import { storeBytes } from "./chunking.js";
import { builtEngine, engineFiles, engineRooms } from "./testing/engine-rooms.js";
import { ask, engineIn, errorIn, record, shared } from "./testing/engine-shares.js";

test("nobody waits for devices to be told but a hub that stops, and one that cannot be told ends nothing", async () => {
  const hub = await engineRooms();
  let go: () => void = () => undefined;
  const told = new Promise<void>((resolve) => {
    go = resolve;
  });
  hub.news.before = () => told;
  const { id } = engineIn(await shared(hub));
  await hub.sharing.remove(id);
  assert.deepEqual(hub.resent, []);
  const closing = hub.sharing.close();
  go();
  await closing;
  assert.deepEqual(hub.resent, ["b", "b"]);
  const list = hub.devices.list.bind(hub.devices);
  engineIn(await shared(hub));
  hub.devices.list = async () => Promise.reject(new Error("the disk is gone"));
  const [stored] = await hub.engines.list();
  await hub.sharing.remove(stored?.id ?? "");
  await hub.sharing.close();
  hub.devices.list = list;
  engineIn(await shared(hub));
});

test("what is in the store for another reason is fetched all the same: a digest alone gives no class another's bytes", async () => {
  const hub = await engineRooms();
  const secret = Buffer.from("a model that is none of this class's business");
  const { sha256: digest } = await storeBytes(hub.artifacts, secret);
  await hub.reports("a", {
    artifact: hub.artifact,
    files: [{ name: "graph_1_sm87.engine", sha256: digest, sizeBytes: secret.length }],
  });
  assert.equal(errorIn(await shared(hub)).code, "artifact/too-large");
  hub.onDevice["graph_1_sm87.engine"] = Buffer.from("none");
  assert.equal(errorIn(await shared(hub)).code, "artifact/digest-mismatch");
  assert.deepEqual([hub.reads.length, await hub.engines.list()], [2, []]);
});

test("an engine that goes while its signature is on its way does not come back without its bytes", async () => {
  const hub = await engineRooms(false);
  const prepared = await shared(hub, { draft: true });
  if (prepared.state !== "prepared") assert.fail(prepared.state);
  const envelope = seal(prebuiltEngineType, Buffer.from(prepared.payload, "base64"), [hub.release]);
  const [stored] = await hub.engines.list();
  assert.ok(stored !== undefined);
  const signing: Promise<unknown>[] = [];
  await hub.storing.alone(async () => {
    await new Promise(setImmediate);
    signing.push(hub.sharing.sign(envelope).catch((error) => error));
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    await hub.engines.remove(stored.id);
  });
  const [error] = await Promise.all(signing);
  assert.equal((error as { code?: string }).code, "engine/unknown");
  assert.equal(await hub.engines.sign(stored.id, stored.id, { envelope, atMs: 0 }), false, "also between the lines");
  assert.deepEqual(await hub.engines.list(), []);
});

test("a file that was here and is removed while others come makes the sharing fail by name", async () => {
  const hub = await engineRooms();
  engineIn(await shared(hub));
  const [stored] = await hub.engines.list();
  assert.ok(stored?.signed !== undefined);
  const envelope = seal(prebuiltEngineType, Buffer.from(stored.payload, "base64"), [hub.other]);
  await hub.engines.put({ ...stored, signed: { ...stored.signed, envelope } });
  const others = { ...engineFiles, "timing.cache": Buffer.from("timing") };
  Object.assign(hub.onDevice, others);
  await hub.reports("a", builtEngine(hub.artifact, others));
  hub.hold.until = (async () => {
    while (!hub.reads.includes("timing.cache")) await new Promise(setImmediate);
    await hub.artifacts.delete(sha256("profile"));
  })();
  const { code, message } = errorIn(await shared(hub));
  assert.equal(code, "artifact/missing");
  assert.match(message, /'graph_1_sm87\.profile' was removed here while others came; share the engine again/);
  engineIn(await shared(hub));
});

test("bytes that are not those reported are refused by name, and nothing of it is shared", async () => {
  const hub = await engineRooms();
  hub.onDevice["graph_1_sm87.profile"] = Buffer.from("profilE");
  const { code, message } = errorIn(await shared(hub));
  assert.equal(code, "artifact/digest-mismatch");
  assert.match(message, /a sent other bytes of 'graph_1_sm87.profile' than it reported/);
  assert.deepEqual(await hub.engines.list(), []);
  hub.onDevice["graph_1_sm87.profile"] = Buffer.from("more bytes than it reported");
  assert.equal(errorIn(await shared(hub)).code, "artifact/too-large");
  hub.onDevice["graph_1_sm87.profile"] = engineFiles["graph_1_sm87.profile"] ?? Buffer.alloc(0);
  engineIn(await shared(hub));
  const profile = (name: string) => name.endsWith("profile");
  assert.deepEqual(
    [hub.reads.filter((name) => !profile(name)).length, hub.reads.filter(profile).length],
    [1, 3],
    "a file that came whole is not fetched again",
  );
});

test("a sharing that is cancelled ends and leaves its place to others; one that has ended stays as it is", async () => {
  const hub = await engineRooms();
  hub.hold.until = new Promise(() => undefined);
  const { id } = await hub.sharing.begin(ask(), record);
  await hub.sharing.cancel(id);
  assert.equal(errorIn(hub.sharing.share(id)).code, "engine/cancelled");
  await assert.rejects(hub.sharing.cancel(id), { code: "request/invalid", message: /had ended before: it is failed/ });
  await assert.rejects(hub.sharing.cancel("s-unknown"), { code: "engine/unknown" });
  hub.hold.until = undefined;
  const done = await shared(hub);
  engineIn(done);
  await assert.rejects(hub.sharing.cancel(done.id), { code: "request/invalid", message: /it is shared/ });
});

test("a hub that stops ends what it fetches", async () => {
  const hub = await engineRooms();
  hub.hold.until = new Promise(() => undefined);
  const { id } = await hub.sharing.begin(ask(), record);
  await hub.sharing.close();
  assert.match(errorIn(hub.sharing.share(id)).message, /being stopped/);
});
