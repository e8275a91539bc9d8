import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { ChunkFrame } from "@muster/shared";
import { FakeClock, seededRandom } from "@muster/shared/testing";
import { bench, chunkBytes, digestOf, hurried, type Line, never } from "./testing/bad-line.js";

/** What a link does to one frame: which frames arrive instead, and whether they wait for later ones. */
type Fault = (frame: ChunkFrame, random: () => number) => readonly ChunkFrame[];

const changed = (frame: ChunkFrame, over: Partial<ChunkFrame>): ChunkFrame => ({ ...frame, ...over });
const damaged = (frame: ChunkFrame, random: () => number) => {
  const bytes = Buffer.from(frame.bytes);
  const at = Math.floor(random() * bytes.length);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
  return changed(frame, { bytes });
};
const single: Readonly<Record<string, Fault>> = {
  missing: (frame, random) => (random() < 0.2 ? [] : [frame]),
  duplicated: (frame, random) => (random() < 0.3 ? [frame, frame, frame] : [frame]),
  corrupted: (frame, random) => (random() < 0.1 ? [damaged(frame, random)] : [frame]),
  "of a wrong length": (frame, random) =>
    random() < 0.1 ? [changed(frame, { bytes: frame.bytes.subarray(0, -1) })] : [frame],
  "at a wrong offset": (frame, random) =>
    random() < 0.1 ? [changed(frame, { offset: frame.offset + 1 })] : [frame, changed(frame, { offset: 2 ** 40 })],
};
const mix: Fault = (frame, random) => {
  const fault = Object.values(single)[Math.floor(random() * 20)];
  return fault === undefined ? [frame] : fault(frame, random);
};
const faults = { ...single, "missing, duplicated, corrupted, cut and misplaced": mix };

/** Frames leave the line some at a time, in any order. */
function shuffle(line: Line, random: () => number, fault: Fault): void {
  const held: (() => void)[] = [];
  const flush = () => {
    held.sort(() => random() - 0.5);
    for (const deliver of held.splice(0)) deliver();
  };
  line.carry = (frame, deliver) => {
    if (held.length === 0) setTimeout(flush, 1);
    for (const instead of fault(frame, random)) held.push(() => deliver(instead));
  };
}

for (const [name, fault] of Object.entries(faults)) {
  test(`reordered frames, and some ${name}, become the artifact all the same`, async () => {
    const clock = new FakeClock();
    const { artifact, shelf, transfer, line } = await bench(randomBytes(60 * chunkBytes + 5), clock);
    shuffle(line, seededRandom(7), fault);
    await hurried(
      clock,
      transfer.fetchArtifact(artifact, never, () => undefined),
    );
    assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
    assert.ok(line.sentBytes < 2.5 * artifact.sizeBytes, `${line.sentBytes} bytes for ${artifact.sizeBytes}`);
  });
}

test("a source whose every frame is cut short is given up with a name, after a few", async () => {
  const { artifact, transfer, line } = await bench();
  line.mangle = (bytes) => [bytes.length === chunkBytes ? bytes.subarray(1) : bytes];
  await assert.rejects(
    transfer.fetchArtifact(artifact, never, () => undefined),
    { code: "artifact/digest-mismatch", message: /damaged 3 times/ },
  );
  assert.ok(line.sentBytes < 4 * artifact.sizeBytes);
});

test("metadata that arrives damaged is fetched again, and given up when it stays so", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  let copies = 0;
  const damageFirst = (count: number) => {
    copies = 0;
    line.carry = (frame, deliver) => {
      copies += 1;
      deliver(copies <= count ? damaged(frame, () => 0.5) : frame);
    };
  };
  damageFirst(2);
  await transfer.fetchSmall(artifact.index, never);
  assert.ok(await shelf.isWhole(artifact.index.sha256));
  await shelf.remove(artifact.index.sha256);
  damageFirst(100);
  await assert.rejects(transfer.fetchSmall(artifact.index, never), { code: "artifact/digest-mismatch" });
  assert.equal(copies, 3);
  assert.equal(await shelf.has(artifact.index.sha256), false);
});

test("a hub that sends without being asked fills no memory: what is too much is dropped and the rest arrives", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  let flooded = false;
  line.carry = (frame, deliver) => {
    const times = flooded || frame.bytes.length < chunkBytes ? 1 : 300;
    flooded ||= times > 1;
    for (let time = 0; time < times; time += 1) deliver(frame);
  };
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.deepEqual(line.warned, ["transfer.frames.dropped"]);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
});

test("two models that need the same blob at the same time share one fetch", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  const both = [1, 2].map(() => transfer.fetchArtifact(artifact, never, () => undefined));
  await Promise.all(both);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.equal(line.sentBytes, artifact.sizeBytes + artifact.index.sizeBytes);
});
