import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { bench, chunkBytes, digestOf, never } from "./testing/bad-line.js";

test("an artifact arrives whole, and progress ends at its size", async () => {
  const { artifact, shelf, transfer } = await bench();
  const progress: number[] = [];
  await transfer.fetchArtifact(artifact, never, ({ doneBytes }) => progress.push(doneBytes));
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.equal(progress.at(-1), artifact.sizeBytes);
  assert.deepEqual(
    progress,
    [...progress].sort((a, b) => a - b),
  );
});

test("lost, repeated and damaged frames are made good", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  line.mangle = (bytes, count) => {
    if (count % 7 === 3) return [];
    if (count % 7 === 4) return [bytes, bytes];
    if (count % 7 === 5) bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    return [bytes];
  };
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
});

test("a source that sends wrong bytes is given up with a name, and nothing is installed", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  line.mangle = (bytes) => [bytes.length === chunkBytes ? Buffer.alloc(bytes.length) : bytes];
  await assert.rejects(
    transfer.fetchArtifact(artifact, never, () => undefined),
    { code: "artifact/digest-mismatch", message: /damaged 3 times/ },
  );
  assert.equal(await shelf.has(artifact.sha256), false);
});

test("a cut connection is waited out, and only what was in flight is asked for again", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  let cut = false;
  line.mangle = (bytes, count) => {
    if (!line.connected) return [];
    if (count === 12 && !cut) {
      cut = true;
      line.cut();
      setTimeout(() => line.mend(), 100);
      return [];
    }
    return [bytes];
  };
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.ok(line.sentBytes < artifact.sizeBytes + 1_000_000, `${line.sentBytes} bytes for ${artifact.sizeBytes}`);
});

test("a stopped transfer resumes with what it had, after hashing it again", async () => {
  const { folder, artifact, line, transfer, open } = await bench();
  const stop = new AbortController();
  const first = transfer.fetchArtifact(artifact, stop.signal, ({ doneBytes }) => {
    if (doneBytes > artifact.sizeBytes / 2) stop.abort(new Error("stopped"));
  });
  await assert.rejects(first, /stopped/);
  const partial = join(folder, "partials", `${artifact.sha256}.part`);
  // One claimed chunk is damaged on disk: its claim must not be believed.
  const bytes = await readFile(partial);
  bytes.writeUInt8(bytes.readUInt8(5) ^ 1, 5);
  await writeFile(partial, bytes);
  const before = line.sentBytes;
  const again = await open();
  const progress: number[] = [];
  await again.transfer.fetchArtifact(artifact, never, ({ doneBytes }) => progress.push(doneBytes));
  assert.equal(await digestOf(again.shelf.path(artifact.sha256)), artifact.sha256);
  assert.ok((progress[0] ?? 0) > artifact.sizeBytes / 3, `resumed at ${progress[0]} of ${artifact.sizeBytes}`);
  assert.ok(line.sentBytes - before < 0.7 * artifact.sizeBytes, `sent ${line.sentBytes - before} again`);
});

test("what is there already is not asked for", async () => {
  const { artifact, transfer, line } = await bench();
  await transfer.fetchArtifact(artifact, never, () => undefined);
  const asked = line.asked.length;
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.equal(line.asked.length, asked);
});

test("a refusal of the hub, and an artifact over the limit, are named", async () => {
  const { artifact, transfer, line } = await bench();
  line.blobs.clear();
  await assert.rejects(
    transfer.fetchArtifact(artifact, never, () => undefined),
    { code: "transfer/refused", message: /gone/ },
  );
  const huge = { ...artifact, sizeBytes: 200_000_000 };
  await assert.rejects(
    transfer.fetchArtifact(huge, never, () => undefined),
    { code: "artifact/too-large" },
  );
});

test("an index that does not cover the artifact is refused before a chunk is asked for", async () => {
  const { artifact, transfer, line } = await bench();
  const wrong = { ...artifact, sizeBytes: artifact.sizeBytes + 1 };
  await assert.rejects(
    transfer.fetchArtifact(wrong, never, () => undefined),
    { code: "artifact/index-invalid" },
  );
  assert.ok(line.asked.every(({ blob }) => blob === artifact.index.sha256));
});

test("while nothing may be fetched the transfer waits and says why, and every byte is counted", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  line.pause = "only at night";
  const told: (string | undefined)[] = [];
  const fetched = transfer.fetchArtifact(artifact, never, ({ paused }) => {
    told.push(paused);
    if (paused !== undefined) line.pause = undefined;
  });
  await fetched;
  assert.ok(told.includes("only at night") && told.at(-1) === undefined);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.equal(line.spentBytes, artifact.sizeBytes + artifact.index.sizeBytes);
});
