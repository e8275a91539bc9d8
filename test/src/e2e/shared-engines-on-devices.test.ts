import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type DeviceEvent,
  type EngineList,
  type EventList,
  encodeChunkIndex,
  engineClass,
  generateSigningKey,
  type PrebuiltEngine,
  prebuiltEngineType,
  type SharedEngine,
  seal,
  sha256,
  type VersionView,
} from "@muster/shared";
import { buildsOf, type EngineRuntime, makeEngineRuntime } from "../fixtures/engine-runtime.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { AgentMachine, eventually, type HubMachine } from "../fleet/fleet.js";
import { partialBytes, shelfFiles } from "../fleet/shelf-files.js";
import { StolenHub } from "../fleet/stolen-hub.js";
import { WeakLink } from "../fleet/weak-link.js";
import { device, ended, model, push, rollOut } from "./line.js";
import { startHub } from "./place.js";

// The agents of these tests inherit it, and see a GPU.
process.env.NODE_OPTIONS = `--import ${new URL("../fixtures/pretending-gpu.js", import.meta.url).href}`;

const usual: EngineRuntime = { build: "TensorRT 10.3", driver: "550" };
const runtimeOf = (folder: string, name: string) => join(folder, name, "runtime");

/** Joins and starts a device on which TensorRT seems to work, with a label `rack`. */
async function deviceWithTensorrt(
  t: TestContext,
  { hub, folder }: { hub: HubMachine; folder: string },
  { name, rack, link, ...runtime }: { name: string; rack: number; link?: WeakLink } & Partial<EngineRuntime>,
): Promise<AgentMachine> {
  const machine = new AgentMachine(folder, name);
  await makeEngineRuntime(runtimeOf(folder, name), { ...usual, ...runtime });
  const settings = { windowMs: 500, transferLanes: 0, onnxruntime: runtimeOf(folder, name) };
  await machine.join(hub, `rack=${rack}`, settings);
  if (link !== undefined) await machine.useLink(link);
  await machine.start();
  t.after(() => machine.program.stop());
  return machine;
}

/** The names and bytes of the engines that a device keeps. */
async function enginesOn({ dataDir }: AgentMachine): Promise<Record<string, string>> {
  const root = join(dataDir, "engines");
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".engine"));
  return Object.fromEntries(
    await Promise.all(
      files.map(async ({ parentPath, name }) => [name, sha256(await readFile(join(parentPath, name)))] as const),
    ),
  );
}

/** What a device has told of engines, once all that it told before it committed has come: kinds and reasons, oldest first. */
function toldBy(hub: HubMachine, name: string): Promise<[string, unknown][]> {
  return eventually("the events arrive", async () => {
    const { events } = await hub.operator.json<EventList>("telemetry", "events", "--limit", "1000", "--device", name);
    if (!events.some(({ kind }) => kind === "model.committed")) return undefined;
    const own = events.filter(({ kind }) => kind.startsWith("engine."));
    return own.sort((a, b) => a.id - b.id).map(({ kind, fields }) => [kind, fields.reason]);
  });
}

async function labelSaidBy(machine: AgentMachine): Promise<string> {
  const jpeg = await renderLabel({ text: labelText(3), rotated: true, seed: 3 });
  return eventually("it answers", async () => {
    const response = await machine.infer(jpeg);
    return response.ok ? ((await response.json()) as { label: string }).label : undefined;
  });
}

/** Brings the version to the devices of a rack, and waits until they run it. */
async function rollOutTo(hub: HubMachine, rack: number): Promise<void> {
  const { id } = await rollOut(hub, "1.0.0", "--selector", `rack=${rack}`);
  const rollout = await ended(hub, id, 120_000);
  assert.equal(rollout.state, "completed", rollout.reason);
}

async function providerOf(hub: HubMachine, name: string): Promise<string | undefined> {
  return (await device(hub, name)).reported?.models[0]?.committed?.provider;
}

test("an engine that one device built serves on others of its kind, which do not build it again", async (t) => {
  const { hub, folder } = await startHub(t);
  const place = { hub, folder };
  const builds = (name: string) => buildsOf(runtimeOf(folder, name));
  await push(hub, folder, "1.0.0", "fp32");
  const first = await deviceWithTensorrt(t, place, { name: "d1", rack: 1 });
  await rollOutTo(hub, 1);
  assert.deepEqual([await providerOf(hub, "d1"), await builds("d1")], ["tensorrt", 1]);
  const built = await eventually(
    "the engine is reported",
    async () => (await device(hub, "d1")).reported?.models[0]?.engine,
  );
  const own = await enginesOn(first);
  assert.deepEqual(Object.fromEntries(built.files.map(({ name, sha256 }) => [name, sha256])), own);

  const shared = await hub.operator.json<SharedEngine>("engine", "share", model, "1.0.0", "--from", "d1");
  assert.deepEqual([shared.builtBy, shared.artifact, shared.files], ["d1", built.artifact, built.files]);
  const [file] = built.files;
  assert.ok(file !== undefined && file.sizeBytes > 1_000_000);

  await t.test(
    "a device of the same class takes it, also when it is killed meanwhile, and builds nothing",
    async (t) => {
      const link = await WeakLink.open(hub.mqttPort);
      t.after(() => link.close());
      link.bytesPerSecondEach = 400_000;
      const second = await deviceWithTensorrt(t, place, { name: "d2", rack: 2, link });
      const rolled = rollOutTo(hub, 2);
      await eventually("a part of the engine is there", async () =>
        (await partialBytes(second, file.sha256)) > 100_000 ? true : undefined,
      );
      await second.program.kill();
      link.bytesPerSecondEach = undefined;
      await second.start();
      await rolled;
      const line = await second.program.waitFor("transfer.resumed", 1000, ({ blob }) => blob === file.sha256);
      assert.ok(Number(line.presentBytes) > 0);
      assert.deepEqual([await providerOf(hub, "d2"), await builds("d2")], ["tensorrt", 0]);
      assert.deepEqual(await enginesOn(second), own);
      assert.deepEqual(await toldBy(hub, "d2"), [["engine.taken", undefined]]);
      const { blobs, partials } = await shelfFiles(second);
      assert.ok(![...blobs, ...partials].some((name) => name.startsWith(file.sha256)), "it lies there once");
      assert.equal(await labelSaidBy(second), "rotated-180");
      await second.program.stop();
      await second.start();
      assert.equal(await labelSaidBy(second), "rotated-180");
      assert.equal(await builds("d2"), 0);
    },
  );

  await t.test("a device with another build of the library is not offered it, and builds its own", async (t) => {
    const third = await deviceWithTensorrt(t, place, { name: "d3", rack: 3, build: "TensorRT 10.7" });
    await rollOutTo(hub, 3);
    assert.deepEqual([await providerOf(hub, "d3"), await builds("d3")], ["tensorrt", 1]);
    assert.deepEqual(await toldBy(hub, "d3"), []);
    assert.equal(await labelSaidBy(third), "rotated-180");
  });

  await t.test("one with which the provider fails is thrown away and built anew", async (t) => {
    const fourth = await deviceWithTensorrt(t, place, { name: "d4", rack: 4, driver: "570" });
    await rollOutTo(hub, 4);
    assert.deepEqual([await providerOf(hub, "d4"), await builds("d4")], ["tensorrt", 1]);
    const [taken, refused, ...more] = await toldBy(hub, "d4");
    assert.deepEqual([taken, refused?.[0], more], [["engine.taken", undefined], "engine.refused", []]);
    assert.match(String(refused?.[1]), /tensorrt fails with it: .*was built for driver 550, this is 570/);
    assert.notDeepEqual(await enginesOn(fourth), own);
    assert.equal(await labelSaidBy(fourth), "rotated-180");
  });

  await t.test("once it is taken back, a device builds its own", async (t) => {
    await hub.operator.json("engine", "rm", shared.id);
    const { shared: left, held } = await hub.operator.json<EngineList>("engine", "ls");
    assert.deepEqual([left, held.map((one) => one.device).sort()], [[], ["d1", "d2", "d3", "d4"]]);
    await deviceWithTensorrt(t, place, { name: "d5", rack: 5 });
    await rollOutTo(hub, 5);
    assert.deepEqual([await builds("d5"), await toldBy(hub, "d5")], [1, []]);
  });
});

test("the engine of an encrypted model is neither kept on the disk nor told", async (t) => {
  const { hub, folder } = await startHub(t);
  await push(hub, folder, "1.0.0", "fp32", "--encrypt");
  const machine = await deviceWithTensorrt(t, { hub, folder }, { name: "d1", rack: 1 });
  await rollOutTo(hub, 1);
  assert.deepEqual([await providerOf(hub, "d1"), await labelSaidBy(machine)], ["tensorrt", "rotated-180"]);
  assert.deepEqual([await enginesOn(machine), await buildsOf(runtimeOf(folder, "d1"))], [{}, 0]);
  assert.equal((await device(hub, "d1")).reported?.models[0]?.engine, undefined);
  const { code, stderr } = await hub.operator.run("engine", "share", model, "1.0.0", "--from", "d1");
  assert.notEqual(code, 0);
  assert.match(stderr, /no engine/);
});

test("an engine that no release key signed is refused whoever sends it, and built", async (t) => {
  const { hub, folder } = await startHub(t);
  await push(hub, folder, "1.0.0", "fp32");
  const machine = await deviceWithTensorrt(t, { hub, folder }, { name: "d1", rack: 1 });
  const { manifest, manifestDigest } = await hub.operator.json<VersionView>("model", "show", model, "1.0.0");
  const { hardware } = await device(hub, "d1");
  const [artifact] = manifest.variants.map((variant) => variant.artifact.sha256);
  const ownClass = hardware && engineClass(hardware);
  assert.ok(artifact !== undefined && ownClass !== undefined);
  await hub.program.stop();
  const thief = await StolenHub.take(hub);
  t.after(() => thief.close());

  const bytes = Buffer.from("what it would run in place of the model");
  const index = encodeChunkIndex([{ length: bytes.length, sha256: sha256(bytes) }]);
  for (const blob of [bytes, index]) thief.blobs.set(sha256(blob), blob);
  const blob = { sha256: sha256(bytes), sizeBytes: bytes.length };
  const files = [
    { name: "a.engine", artifact: { ...blob, index: { sha256: sha256(index), sizeBytes: index.length } } },
  ];
  const engine: PrebuiltEngine = { artifact, engineClass: ownClass, builtBy: "d9", createdMs: 0, files };
  const engines = [thief.director, generateSigningKey()].map((key) =>
    seal(prebuiltEngineType, Buffer.from(JSON.stringify(engine)), [key]),
  );
  const wanted = thief.offerBytes(manifest, await thief.artifact(manifestDigest), "thief.1");
  await eventually("the device speaks to the thief", async () => thief.reported.get("d1"), 90_000);
  await thief.order("d1", { revision: 100, models: [{ ...wanted, engines }] });
  await eventually("it serves", async () => thief.reported.get("d1")?.models[0]?.committed, 60_000);

  assert.equal(await buildsOf(runtimeOf(folder, "d1")), 1);
  assert.equal(thief.asked.has(blob.sha256), false, "not a byte of it was asked for");
  const told = ({ kind, fields }: DeviceEvent) => (kind.startsWith("engine.") ? [[kind, String(fields.reason)]] : []);
  const refusals = await eventually("both are told", async () => {
    const all = thief.events.flatMap(told);
    return all.length < 2 ? undefined : all;
  });
  for (const [kind, reason] of refusals) {
    assert.equal(kind, "engine.refused");
    assert.match(reason ?? "", /needs 1 trusted signature/);
  }
  assert.ok(!("a.engine" in (await enginesOn(machine))));
  assert.equal(await labelSaidBy(machine), "rotated-180");
});
