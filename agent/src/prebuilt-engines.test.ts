import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  type Clock,
  engineClass,
  generateSigningKey,
  type Hardware,
  type PrebuiltEngine,
  prebuiltEngineType,
  seal,
  sha256,
} from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { FakeClock, newSigners, rootOf } from "@muster/shared/testing";
import { machineKey } from "./core/machine.js";
import { EngineCache, isTaken } from "./engine-cache.js";
import { engineBlobs, PrebuiltEngines } from "./prebuilt-engines.js";
import { memoryLog, temporaryFolder, until } from "./runner/testing.js";
import { bench as badLine, chunkBytes, never, offer } from "./testing/bad-line.js";
import type { Progress } from "./watch.js";

const signers = newSigners();
const artifact = "a".repeat(64);
const jetson: Hardware = {
  ...{ platform: "linux", arch: "arm64", board: "Jetson Orin", cpu: "A78AE", cores: 6, memoryBytes: 8e9 },
  ...{ freeDiskBytes: 1e9, providers: ["cpu", "tensorrt"], onnxruntime: { version: "1.30.0", build: "one" } },
  gpus: [{ name: "NVIDIA Orin", shared: true }],
};
const ownClass = engineClass(jetson) ?? "";
const graph = randomBytes(6 * chunkBytes + 17);
const timing = Buffer.from("times");

/** A device whose hub offers an engine of two files; `root` is the folder of its engines. */
async function bench({ hardware = jetson, clock = systemClock }: { hardware?: Hardware; clock?: Clock } = {}) {
  const { line, open, ...first } = await badLine(undefined, clock);
  const root = join(await temporaryFolder(), "engines");
  const files = [
    { name: "graph.engine", artifact: offer(line, graph) },
    { name: "cache.timing", artifact: offer(line, timing) },
  ];
  const engine: PrebuiltEngine = { artifact, engineClass: ownClass, builtBy: "d1", createdMs: 0, files };
  const envelope = (over: Partial<PrebuiltEngine> = {}, keys = signers.release) =>
    seal(prebuiltEngineType, Buffer.from(JSON.stringify({ ...engine, ...over })), keys);
  const told: [string, Record<string, unknown>][] = [];
  const progress: Progress[] = [];
  const cache = new EngineCache(root, 1e9);
  const over = ({ shelf, transfer }: Pick<typeof first, "shelf" | "transfer">) =>
    new PrebuiltEngines({
      ...{ shelf, transfer, cache, clock, log: memoryLog() },
      device: {
        root: () => rootOf(signers),
        hardware: async () => hardware,
        tell: async (kind, fields) => void told.push([kind, fields]),
      },
    });
  const usual = over(first);
  const take = (engines = [envelope()], signal = never, by = usual) =>
    by.take({ model: "m", version: "1", engines, artifacts: [artifact] }, signal, (one) => progress.push(one));
  /** What a provider finds. */
  const kept = async () => (await cache.files(artifact, machineKey(hardware))).map(({ name }) => name);
  /** What of the engine is left on the shelf, whole or in part. */
  const shelved = async () =>
    (await Promise.all(engineBlobs([envelope()]).map((blob) => first.shelf.diskBytes(blob)))).reduce((a, b) => a + b);
  const reasons = () => told.map(([kind, { reason }]) => [kind, reason]);
  const again = async () => over(await open());
  return { line, root, cache, envelope, told, progress, take, kept, shelved, reasons, again, ...first };
}

test("an engine of the device's class is put where the provider looks for it, and told", async () => {
  const { cache, take, kept, shelved, told, progress, line } = await bench();
  await take();
  assert.deepEqual(await kept(), ["cache.timing", "graph.engine"]);
  const folder = await cache.folder(artifact, machineKey(jetson));
  assert.deepEqual(await readFile(join(folder, "graph.engine")), graph);
  assert.equal(await isTaken(folder), true);
  assert.equal(await shelved(), 0, "it does not lie here twice");
  const bytes = graph.length + timing.length;
  assert.deepEqual(told, [["engine.taken", { model: "m", version: "1", artifact, builtBy: "d1", bytes }]]);
  assert.deepEqual(progress[0], { doing: "fetching the engine that d1 built" });
  const asked = line.asked.length;
  await take();
  assert.deepEqual([line.asked.length, told.length], [asked, 1], "a second time there is nothing to do");
});

test("an engine that was built here stays, and one of a model file that is not tried is not looked at", async () => {
  const { cache, take, kept, told, envelope, line } = await bench();
  await writeFile(join(await cache.folder(artifact, machineKey(jetson)), "own.engine"), "own");
  await take();
  await take([envelope({ artifact: "b".repeat(64) }), { ...envelope(), payload: "?" }]);
  assert.deepEqual([await kept(), told, line.asked], [["own.engine"], [], []]);
});

test("what the release role did not sign, or signed for another class, is refused before a byte is asked for", async () => {
  const { take, kept, reasons, envelope, line } = await bench();
  await take([
    envelope({}, [generateSigningKey()]),
    envelope({}, signers.director),
    envelope({ engineClass: "c".repeat(64) }),
    envelope({ files: [] }),
  ]);
  assert.equal(reasons().length, 4);
  for (const [kind] of reasons()) assert.equal(kind, "engine.refused");
  const [foreign, director, other, empty] = reasons().map(([, reason]) => String(reason));
  for (const reason of [foreign, director]) assert.match(reason ?? "", /needs 1 trusted signature/);
  assert.match(other ?? "", /has engineClass c+, expected/);
  assert.match(empty ?? "", /files/);
  assert.deepEqual([await kept(), line.asked], [[], []]);
});

test("after one that is refused the next one is taken", async () => {
  const { take, kept, told, envelope } = await bench();
  await take([envelope({}, [generateSigningKey()]), envelope()]);
  assert.deepEqual([told.map(([kind]) => kind), (await kept()).length], [["engine.refused", "engine.taken"], 2]);
});

test("a device whose build of ONNX Runtime is not known is of no class, and takes none", async () => {
  const { onnxruntime: _, ...unknown } = jetson;
  const { take, kept, told } = await bench({ hardware: unknown });
  await take();
  assert.deepEqual([await kept(), told], [[], []]);
});

test("an engine that arrives damaged is refused, and nothing of it stays", async () => {
  const { take, kept, reasons, shelved, root, line } = await bench();
  line.mangle = (bytes) => [bytes.length === chunkBytes ? Buffer.alloc(bytes.length) : bytes];
  await take();
  assert.match(String(reasons()[0]?.[1]), /damaged 3 times/);
  assert.deepEqual([await kept(), await shelved()], [[], 0]);
  assert.deepEqual(await readdir(root).catch(() => []), []);
});

test("one that was damaged on the disk after it came is not put in place", async () => {
  const { take, kept, reasons, shelved, root, shelf, transfer } = await bench();
  // The disk loses something just when the last file has come.
  const fetchArtifact = transfer.fetchArtifact.bind(transfer);
  transfer.fetchArtifact = async (blob, ...rest) => {
    await fetchArtifact(blob, ...rest);
    if (blob.sha256 === sha256(timing)) await writeFile(shelf.path(sha256(graph)), Buffer.alloc(graph.length));
  };
  await take();
  assert.match(String(reasons()[0]?.[1]), /was changed on this device/);
  assert.deepEqual([await kept(), await shelved(), await readdir(root)], [[], 0, []]);
});

test("without room for it nothing is asked for; a disk that is full meanwhile leaves nothing behind", async () => {
  const small = await bench({ hardware: { ...jetson, freeDiskBytes: graph.length } });
  await small.take();
  assert.match(String(small.reasons()[0]?.[1]), /it takes .* to take it, .* are free; make room/);
  assert.deepEqual(small.line.asked, []);
  const full = await bench();
  const put = full.cache.put.bind(full.cache);
  full.cache.put = (blob, machine, fill) =>
    put(blob, machine, async (folder) => {
      await fill(folder);
      throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    });
  await full.take();
  assert.match(String(full.reasons()[0]?.[1]), /no space left/);
  assert.deepEqual([await full.kept(), await full.shelved(), await readdir(full.root)], [[], 0, []]);
});

test("an agent that was stopped meanwhile goes on with what it had, whatever else it left", async () => {
  const { take, kept, told, line, again, cache, root } = await bench();
  const stop = new AbortController();
  line.mangle = (bytes, count) => {
    if (count === 6) stop.abort(new Error("the agent is stopping"));
    return [bytes];
  };
  await assert.rejects(take(undefined, stop.signal), /stopping/);
  assert.deepEqual([await kept(), told], [[], []]);
  const folder = await cache.folder(artifact, machineKey(jetson));
  await mkdir(`${folder}.filling`);
  await writeFile(join(`${folder}.filling`, "graph.engine"), "half");
  const before = line.sentBytes;
  await take(undefined, never, await again());
  assert.equal((await kept()).length, 2);
  assert.ok(line.sentBytes - before < graph.length, `${line.sentBytes - before} bytes came again`);
  assert.equal((await readdir(root)).length, 1);
});

test("one that was in place already when the agent was killed is kept, and what it was made of goes", async () => {
  const { take, kept, shelved, told, transfer, cache, envelope } = await bench();
  for (const bytes of [graph, timing]) {
    const { files } = JSON.parse(Buffer.from(envelope().payload, "base64").toString()) as PrebuiltEngine;
    const blob = files.find((file) => file.artifact.sha256 === sha256(bytes))?.artifact;
    assert.ok(blob !== undefined);
    await transfer.fetchArtifact(blob, never, () => undefined);
  }
  await cache.put(artifact, machineKey(jetson), (folder) => writeFile(join(folder, "graph.engine"), graph));
  assert.ok((await shelved()) > 0);
  await take();
  assert.deepEqual([await kept(), await shelved(), told], [["graph.engine"], 0, []]);
});

test("while nothing may be fetched, and when the hub is gone for long, an engine is not waited for", async () => {
  const paused = await bench();
  paused.line.pause = "only at night";
  await paused.take();
  assert.match(String(paused.reasons()[0]?.[1]), /nothing may be fetched now: only at night/);
  const clock = new FakeClock();
  const cut = await bench({ clock });
  cut.line.cut();
  let over = false;
  const taking = cut.take().finally(() => {
    over = true;
  });
  await until("it is given up", () => {
    clock.advance(60_000);
    return over;
  });
  await taking;
  assert.match(String(cut.reasons()[0]?.[1]), /did not come within 30 min/);
});

test("two models with one file take its engine once", async () => {
  const { take, told, line } = await bench();
  await Promise.all([take(), take()]);
  assert.deepEqual(
    told.map(([kind]) => kind),
    ["engine.taken"],
  );
  assert.ok(line.sentBytes < 2 * graph.length);
});

test("of what the hub offers every blob is named, and what is no engine names none", async () => {
  const { envelope } = await bench();
  const { files } = JSON.parse(Buffer.from(envelope().payload, "base64").toString()) as PrebuiltEngine;
  const blobs = files.flatMap((file) => [file.artifact.sha256, file.artifact.index.sha256]);
  assert.deepEqual(engineBlobs([envelope(), { ...envelope(), payload: "e30=" }]), blobs);
});
