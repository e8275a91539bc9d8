import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { outcomeOf } from "./faults.js";
import type { BlobShelf } from "./ports.js";
import { bench, chunkBytes, digestOf, never } from "./testing/bad-line.js";

/** Lets the shelf's disk be full after so many chunks. */
function limit(shelf: BlobShelf, room: { chunks: number }): void {
  const begin = shelf.begin.bind(shelf);
  shelf.begin = async (...options) => {
    const partial = await begin(...options);
    const write = partial.write.bind(partial);
    partial.write = async (offset, bytes) => {
      if (bytes.length >= chunkBytes) room.chunks -= 1;
      if (room.chunks < 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      await write(offset, bytes);
    };
    return partial;
  };
}

test("a disk that fills up in the middle is named, freed of what was written, and with room the artifact arrives", async () => {
  const { folder, artifact, shelf, transfer } = await bench();
  const room = { chunks: 7 };
  limit(shelf, room);
  const fetched = transfer.fetchArtifact(artifact, never, () => undefined);
  const failure: unknown = await fetched.catch((error) => error);
  const [outcome, { code, detail }] = outcomeOf(failure);
  assert.deepEqual([outcome, code], ["failed", "E_DISK"]);
  assert.match(detail, /make room/);
  assert.deepEqual(await readdir(join(folder, "partials")), []);
  room.chunks = Number.POSITIVE_INFINITY;
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
});

test("what a partial blob takes of the disk is known, so that going on with it is not refused for lack of room", async () => {
  const { artifact, shelf, transfer } = await bench();
  assert.equal(await shelf.diskBytes(artifact.sha256), 0);
  const stop = new AbortController();
  const stopped = transfer.fetchArtifact(artifact, stop.signal, ({ doneBytes }) => {
    if (doneBytes > artifact.sizeBytes / 2) stop.abort(new Error("stopped"));
  });
  await assert.rejects(stopped, /stopped/);
  const partly = await shelf.diskBytes(artifact.sha256);
  assert.ok(partly > artifact.sizeBytes / 2 && partly <= artifact.sizeBytes + chunkBytes, `${partly}`);
  await transfer.fetchArtifact(artifact, never, () => undefined);
  assert.ok((await shelf.diskBytes(artifact.sha256)) >= artifact.sizeBytes);
});
