import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { differences, encodeDeltaHeader } from "@muster/shared";
import { bench, chunkBytes, digestOf, never, offer } from "./testing/bad-line.js";

test("compressed frames arrive as they were, and a damaged one is asked for again", async () => {
  const bytes = Buffer.alloc(20 * chunkBytes, "weights that repeat themselves ");
  const { artifact, shelf, transfer, line } = await bench(bytes);
  line.deflate = true;
  line.mangle = (plain, count) => {
    if (plain.length === chunkBytes && count % 5 === 1) plain.writeUInt8(plain.readUInt8(9) ^ 1, 9);
    return [plain];
  };
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.ok(line.sentBytes < bytes.length / 20, `${line.sentBytes} bytes for ${bytes.length}`);
});

test("a frame that inflates beyond its chunk is damaged, not believed", async () => {
  const { artifact, transfer, line } = await bench();
  line.deflate = true;
  line.mangle = (bytes) => [bytes.length === chunkBytes ? Buffer.alloc(50 * chunkBytes) : bytes];
  await assert.rejects(
    transfer.fetchArtifact(artifact, never, () => undefined),
    { code: "artifact/digest-mismatch" },
  );
});

test("chunks that are on the device already are copied, and what is damaged there is fetched", async () => {
  const { bytes, artifact, shelf, transfer, line } = await bench();
  await transfer.fetchArtifact(artifact, never, () => undefined);
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(5 * chunkBytes) ^ 1, 5 * chunkBytes);
  const next = offer(line, Buffer.concat([changed, randomBytes(1000)]));
  const stored = await readFile(shelf.path(artifact.sha256));
  stored.writeUInt8(stored.readUInt8(9 * chunkBytes) ^ 1, 9 * chunkBytes);
  await writeFile(shelf.path(artifact.sha256), stored);
  line.asked.length = 0;
  await transfer.fetchArtifact(next, never, () => undefined, { seeds: [artifact] });
  assert.equal(await digestOf(shelf.path(next.sha256)), next.sha256);
  const asked = line.asked.filter(({ blob }) => blob === next.sha256).flatMap(({ ranges }) => ranges);
  assert.deepEqual(
    asked.map(([offset]) => offset / chunkBytes),
    [5, 9, 20],
  );
});

test("what describes the version before may be damaged: that only costs the bytes it would have saved", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  await transfer.fetchArtifact(artifact, never, () => undefined);
  for (const damaged of [Buffer.from("no index"), Buffer.alloc(0)]) {
    await writeFile(shelf.path(artifact.index.sha256), damaged);
    const next = offer(line, randomBytes(5 * chunkBytes));
    const hint = { artifact: next.sha256, deltas: [{ base: artifact.sha256, delta: offer(line, randomBytes(500)) }] };
    await transfer.fetchArtifact(next, never, () => undefined, { seeds: [artifact], hint });
    assert.equal(await digestOf(shelf.path(next.sha256)), next.sha256);
  }
});

/** A version whose every weight moved a little, and the delta to it. */
async function moved() {
  const place = await bench(Buffer.from(Int8Array.from({ length: 20 * chunkBytes }, (_, at) => (at * 31) % 97).buffer));
  const { bytes: base, artifact, transfer, line } = place;
  await transfer.fetchArtifact(artifact, never, () => undefined);
  const target = Buffer.from(base.map((value, at) => (at % 40 === 0 ? value + 1 : value)));
  const header = {
    targetBytes: target.length,
    baseBytes: base.length,
    segments: [[0, target.length, 0, 1]] as [number, number, number, 1][],
  };
  const body = [];
  for (let at = 0; at < target.length; at += 256 * 1024) {
    body.push(differences(target.subarray(at, at + 256 * 1024), base.subarray(at, at + 256 * 1024), 1));
  }
  const delta = Buffer.concat([encodeDeltaHeader(header), deflateRawSync(Buffer.concat(body))]);
  return { ...place, next: offer(line, target), delta };
}

test("a delta is fetched instead when it is smaller, and gone when the artifact is there", async () => {
  const { artifact, next, delta, shelf, transfer, line } = await moved();
  const offered = offer(line, delta);
  const before = line.sentBytes;
  const hint = { artifact: next.sha256, deltas: [{ base: artifact.sha256, delta: offered }] };
  await transfer.fetchArtifact(next, never, () => undefined, { seeds: [artifact], hint });
  assert.equal(await digestOf(shelf.path(next.sha256)), next.sha256);
  assert.ok(line.sentBytes - before < 0.2 * next.sizeBytes, `${line.sentBytes - before} of ${next.sizeBytes}`);
  assert.equal(await shelf.has(offered.sha256), false);
});

test("a delta that is wrong, cut short, for another artifact or larger than what is missing only costs its bytes", async () => {
  const { artifact, next, delta, shelf, transfer, line } = await moved();
  const other = encodeDeltaHeader({ targetBytes: 5, baseBytes: 5, segments: [] });
  const outside = encodeDeltaHeader({ targetBytes: next.sizeBytes, baseBytes: 5, segments: [[0, 8, 4, 4]] });
  const wrong = Buffer.from(delta);
  wrong.writeUInt8(wrong.readUInt8(wrong.length - 500) ^ 0x55, wrong.length - 500);
  for (const bad of [
    wrong,
    delta.subarray(0, -100),
    other,
    outside,
    Buffer.alloc(100),
    randomBytes(next.sizeBytes * 2),
  ]) {
    const hint = { artifact: next.sha256, deltas: [{ base: artifact.sha256, delta: offer(line, bad) }] };
    await transfer.fetchArtifact(next, never, () => undefined, { seeds: [artifact], hint });
    assert.equal(await digestOf(shelf.path(next.sha256)), next.sha256);
    await shelf.remove(next.sha256);
  }
});
