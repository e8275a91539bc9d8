import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { outcomeOf } from "./faults.js";
import type { BlobShelf } from "./ports.js";
import { bench, chunkBytes, digestOf, hurried, never } from "./testing/bad-line.js";

/** Something happens to each chunk before the shelf's disk takes it. */
function beforeWrite(shelf: BlobShelf, happens: () => Promise<void> | void): void {
  const begin = shelf.begin.bind(shelf);
  shelf.begin = async (...options) => {
    const partial = await begin(...options);
    const write = partial.write.bind(partial);
    partial.write = async (offset, bytes) => {
      if (bytes.length >= chunkBytes) await happens();
      await write(offset, bytes);
    };
    return partial;
  };
}

/** Lets the shelf's disk be full after so many chunks. */
function limit(shelf: BlobShelf, room: { chunks: number }): void {
  beforeWrite(shelf, () => {
    room.chunks -= 1;
    if (room.chunks < 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  });
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

test("a disk that is slow for minutes has nothing sent again, and a frame lost after it is asked for in seconds", async () => {
  const clock = new FakeClock();
  const { artifact, shelf, transfer, line } = await bench(undefined, clock);
  let writes = 0;
  beforeWrite(shelf, async () => {
    writes += 1;
    if (writes <= 15) await clock.sleep(20_000);
  });
  let lostMs: number | undefined;
  line.carry = (frame, deliver) => {
    // The last one, which is shorter.
    if (lostMs !== undefined || frame.bytes.length === chunkBytes || writes === 0) return deliver(frame);
    lostMs = clock.steady();
  };
  let askedAgainMs = 0;
  const request = line.request.bind(line);
  line.request = (asked) => {
    if (lostMs !== undefined) askedAgainMs = clock.steady() - lostMs;
    request(asked);
  };
  await hurried(
    clock,
    transfer.fetchArtifact(artifact, never, () => undefined),
  );
  assert.ok(clock.steady() > 300_000, `${clock.steady()} ms`);
  assert.ok(askedAgainMs > 0 && askedAgainMs < 10_000, `${askedAgainMs} ms`);
  const lostBytes = artifact.sizeBytes % chunkBytes;
  assert.equal(line.sentBytes, artifact.sizeBytes + artifact.index.sizeBytes + lostBytes);
});
