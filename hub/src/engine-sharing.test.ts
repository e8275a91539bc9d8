import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeChunkIndex, engineClass, prebuiltEngineType, type ShareEngine, seal, sha256 } from "@muster/shared";
import { builtEngine, engineFiles, engineRooms, jetson } from "./testing/engine-rooms.js";
import { ask, ended, engineIn, errorIn, record, recorded, shared } from "./testing/engine-shares.js";

test("what a device built is fetched, stored as artifacts with an index, signed by the hub's release key, and recorded", async () => {
  const hub = await engineRooms();
  const engine = engineIn(await shared(hub));
  assert.deepEqual(
    [engine.artifact, engine.engineClass, engine.builtBy, engine.trusted],
    [hub.artifact, engineClass(jetson), "a", true],
  );
  assert.deepEqual(engine.signedBy, [hub.release.public.keyid]);
  assert.deepEqual(engine.versions, [{ model: "m", version: "1", variant: "fp32" }]);
  assert.ok(recorded.at(-1)?.includes(engine.id), "the signature is on the record");
  const [stored] = await hub.engines.signedFor(jetson);
  for (const { name, artifact } of stored?.engine.files ?? []) {
    const bytes = await hub.artifacts.read(artifact.sha256, 0, artifact.sizeBytes);
    assert.ok(bytes.equals(engineFiles[name] ?? Buffer.alloc(0)), name);
    const index = await hub.artifacts.read(artifact.index.sha256, 0, artifact.index.sizeBytes);
    const [first] = decodeChunkIndex(index, artifact.sizeBytes);
    assert.equal(first?.sha256, sha256(bytes.subarray(0, first?.length)));
  }
  assert.equal(stored?.engine.files.length, 2);
  for (const { sha256: digest } of engine.files) assert.equal(await hub.pulled.size(digest), undefined);
});

test("only devices of the class that are still on their way to the version are told at once", async () => {
  const hub = await engineRooms();
  await hub.devices.add("x", {});
  const other = { ...jetson, jetson: { module: "Orin Nano" } };
  await hub.devices.hello("x", {
    agentVersion: "1",
    revision: 0,
    rootVersion: 0,
    hardware: other,
    bootId: "",
    clockMs: 0,
  });
  await hub.db
    .updateTable("devices")
    .set({ desired_models: JSON.stringify([hub.wanted]) })
    .where("id", "=", "x")
    .execute();
  const { id } = engineIn(await shared(hub));
  await hub.sharing.close();
  assert.deepEqual(hub.resent, ["b"], "a has it, x is of another class");
  await hub.sharing.remove(id);
  await hub.sharing.close();
  assert.deepEqual([hub.resent, hub.swept.sweeps], [["b", "b"], 1]);
  assert.deepEqual((await hub.sharing.list()).shared, []);
  await assert.rejects(hub.sharing.remove(id), { code: "engine/unknown" });
});

test("without a release key here it is prepared, and shared once a key that is trusted has signed exactly that", async () => {
  const hub = await engineRooms(false);
  await assert.rejects(hub.sharing.begin(ask(), record), { code: "signature/key-needed" });
  const prepared = await shared(hub, { draft: true });
  if (prepared.state !== "prepared") assert.fail(prepared.state);
  const payload = Buffer.from(prepared.payload, "base64");
  assert.deepEqual(
    [await hub.engines.signedFor(jetson), (await hub.sharing.list()).shared],
    [[], []],
    "not signed yet",
  );
  await assert.rejects(hub.sharing.sign(seal(prebuiltEngineType, payload, [hub.other])), {
    code: "signature/invalid",
    message: /trusted signature/,
  });
  const changed = Buffer.from(payload.toString().replace('"a"', '"b"'));
  await assert.rejects(hub.sharing.sign(seal(prebuiltEngineType, changed, [hub.release])), { code: "engine/unknown" });
  const asManifest = seal("application/vnd.muster.manifest.v1+json", payload, [hub.release]);
  await assert.rejects(hub.sharing.sign(asManifest), { code: "signature/invalid" });
  assert.deepEqual(await hub.engines.signedFor(jetson), []);
  const reads = hub.reads.length;
  assert.equal((await shared(hub, { draft: true })).state, "prepared", "asked again, nothing is fetched again");
  assert.equal(hub.reads.length, reads);
  const engine = await hub.sharing.sign(seal(prebuiltEngineType, payload, [hub.release]));
  assert.equal((await hub.engines.signedFor(jetson))[0]?.id, engine.id);
  const again = await hub.sharing.sign(seal(prebuiltEngineType, payload, [hub.release, hub.other]));
  assert.notEqual(again.id, engine.id, "devices are told of another signature");
  assert.deepEqual(
    (await hub.engines.list()).map(({ id }) => id),
    [again.id],
  );
});

test("what cannot be shared is refused before a byte is fetched, with the reason", async () => {
  const hub = await engineRooms();
  const refused = async (code: string, message: RegExp, over: Partial<ShareEngine> = {}) => {
    await assert.rejects(hub.sharing.begin(ask(over), record), { code, message });
  };
  await refused("device/unknown", /no device x/, { device: "x" });
  await refused("model/unknown", /no version 9/, { version: "9" });
  await refused("engine/unknown", /b holds no engine of m 1/, { device: "b" });
  await hub.reports("a", builtEngine("9".repeat(64)));
  await refused("engine/unknown", /holds no engine/);
  const large = builtEngine(hub.artifact).files.map((file) => ({ ...file, sizeBytes: 600_000 }));
  await hub.reports("a", { artifact: hub.artifact, files: large });
  await refused("artifact/too-large", /1.2 MB; at most 1.0 MB are taken \(maxArtifactBytes\)/);
  await hub.reports("a", builtEngine(hub.artifact));
  const { onnxruntime: _, ...unknown } = jetson;
  await hub.devices.hello("a", {
    agentVersion: "1",
    revision: 0,
    rootVersion: 0,
    hardware: unknown,
    bootId: "",
    clockMs: 0,
  });
  await refused("engine/unknown", /does not say which ONNX Runtime/);
  assert.deepEqual(hub.reads, []);
});

test("an engine of an encrypted artifact is never shared", async () => {
  const hub = await engineRooms();
  const encryption = { algorithm: "aes-256-gcm", plainSha256: "1".repeat(64), plainBytes: 1 } as const;
  const variants = hub.manifest.variants.map((each) => ({ ...each, artifact: { ...each.artifact, encryption } }));
  await hub.db
    .updateTable("versions")
    .set({ manifest: JSON.stringify({ ...hub.manifest, variants }) })
    .execute();
  await assert.rejects(hub.sharing.begin(ask(), record), {
    code: "request/invalid",
    message: /in the clear and is never shared/,
  });
});

test("shared again it changes nothing; an engine of other bytes has to wait until the first is taken back", async () => {
  const hub = await engineRooms();
  const { id } = engineIn(await shared(hub));
  assert.equal(engineIn(await shared(hub)).id, id);
  const others = { "graph_1_sm87.engine": Buffer.from("another build") };
  Object.assign(hub.onDevice, others);
  await hub.reports("b", builtEngine(hub.artifact, others));
  const { code, message } = errorIn(await shared(hub, { device: "b" }));
  assert.deepEqual([code, message.includes(`muster engine rm ${id}`)], ["engine/exists", true]);
  const { held } = await hub.sharing.list();
  assert.deepEqual(
    held.map(({ device, shared: of }) => [device, of]),
    [
      ["a", id],
      ["b", id],
    ],
  );
  await hub.sharing.remove(id);
  assert.equal(engineIn(await shared(hub, { device: "b" })).builtBy, "b");
});

test("when the key that signed an engine is not trusted any more, it may be shared anew", async () => {
  const hub = await engineRooms();
  const first = engineIn(await shared(hub));
  const [stored] = await hub.engines.list();
  assert.ok(stored?.signed !== undefined);
  const envelope = seal(prebuiltEngineType, Buffer.from(stored.payload, "base64"), [hub.other]);
  await hub.engines.put({ ...stored, signed: { ...stored.signed, envelope } });
  assert.deepEqual(
    (await hub.sharing.list()).shared.map(({ trusted }) => trusted),
    [false],
  );
  const reads = hub.reads.length;
  const second = engineIn(await shared(hub));
  assert.deepEqual([second.trusted, second.id === first.id], [true, false]);
  assert.equal(hub.reads.length, reads, "its bytes are here");
});

test("one engine of a device and two in all are fetched at a time; asked for the same, it is the same sharing", async () => {
  const hub = await engineRooms();
  let go: () => void = () => undefined;
  hub.hold.until = new Promise<void>((resolve) => {
    go = resolve;
  });
  for (const device of ["b", "c"]) {
    if (device === "c") await hub.devices.add("c", {});
    await hub.devices.hello(device, {
      agentVersion: "1",
      revision: 0,
      rootVersion: 0,
      bootId: "",
      clockMs: 0,
      hardware: { ...jetson, arch: device },
    });
    await hub.reports(device, builtEngine(hub.artifact));
  }
  const first = await hub.sharing.begin(ask(), record);
  assert.equal((await hub.sharing.begin(ask(), record)).id, first.id);
  await assert.rejects(hub.sharing.begin(ask({ draft: true }), record), {
    code: "engine/busy",
    message: /an engine of a is/,
  });
  const second = await hub.sharing.begin(ask({ device: "b" }), record);
  await assert.rejects(hub.sharing.begin(ask({ device: "c" }), record), {
    code: "engine/busy",
    message: /2 engines are/,
  });
  assert.deepEqual([first.state, first.doneBytes, first.totalBytes], ["fetching", 0, 200_007]);
  go();
  engineIn(await ended(hub.sharing, first.id));
  engineIn(await ended(hub.sharing, second.id));
  engineIn(await shared(hub, { device: "c" }));
  assert.throws(() => hub.sharing.share("s-unknown"), { code: "engine/unknown", message: /share it again/ });
});

test("who may see a part of the fleet sees its engines, and of shared ones not which device beyond it built them", async () => {
  const hub = await engineRooms();
  engineIn(await shared(hub));
  const { shared: own, held } = await hub.sharing.list("site=lyon");
  assert.deepEqual([own[0]?.builtBy, held.map(({ device }) => device)], ["a", ["a"]]);
  const nice = await hub.sharing.list("site=nice");
  assert.deepEqual([nice.shared.length, nice.shared[0]?.builtBy, nice.held], [1, undefined, []]);
  assert.deepEqual(await hub.sharing.list("", "other"), { shared: [], held: [] });
});
