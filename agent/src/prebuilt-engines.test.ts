import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { generateSigningKey, type PrebuiltEngine, sha256 } from "@muster/shared";
import { machineKey } from "./core/machine.js";
import { isTaken } from "./engine-cache.js";
import { engineBlobs } from "./prebuilt-engines.js";
import { chunkBytes, never, offer } from "./testing/bad-line.js";
import { artifact, bench, graph, jetson, signers, timing } from "./testing/engine-offer.js";

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

test("while nothing may be fetched, and when it does not fit into what may be, an engine is not begun", async () => {
  const paused = await bench();
  paused.line.pause = "only at night";
  await paused.take();
  assert.match(String(paused.reasons()[0]?.[1]), /nothing may be fetched now: only at night/);
  const metered = await bench();
  metered.line.allowedBytes = graph.length;
  await metered.take();
  assert.match(String(metered.reasons()[0]?.[1]), /may still be fetched today; raise transferBytesPerDay/);
  assert.deepEqual([metered.line.asked, await metered.kept()], [[], []]);
  metered.line.allowedBytes = graph.length + timing.length;
  await metered.take();
  assert.equal((await metered.kept()).length, 2);
});

test("an engine that names a file of a model is refused, and that file stays", async () => {
  const { take, needed, reasons, kept, shelf, transfer, line } = await bench();
  const model = offer(line, graph);
  await transfer.fetchArtifact(model, never, () => undefined);
  needed.add(model.sha256).add(model.index.sha256);
  const asked = line.asked.length;
  await take();
  assert.match(String(reasons()[0]?.[1]), /names [0-9a-f]{12}, which is a file of a model/);
  assert.deepEqual([await kept(), await shelf.isWhole(model.sha256), line.asked.length], [[], true, asked]);
  assert.equal(await shelf.isWhole(model.index.sha256), true);
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
