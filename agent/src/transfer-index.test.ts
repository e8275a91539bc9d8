import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlobShelf, PartialBlob } from "./ports.js";
import { bench, digestOf, never } from "./testing/bad-line.js";

/** Has the disk take its time with the end of some blobs. */
function slowly(shelf: BlobShelf, finish: (digest: string, partial: PartialBlob) => Promise<void>): void {
  const begin = shelf.begin.bind(shelf);
  shelf.begin = async (digest, ...rest) => {
    const partial = await begin(digest, ...rest);
    return {
      present: partial.present,
      write: (offset, bytes) => partial.write(offset, bytes),
      finish: () => finish(digest, partial),
      close: () => partial.close(),
    };
  };
}

test("chunks are fetched while the disk still works on the index, and the artifact is there only after it", async () => {
  const { artifact, shelf, transfer } = await bench();
  let arrived: () => void = () => undefined;
  const allArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const order: string[] = [];
  slowly(shelf, async (digest, partial) => {
    if (digest === artifact.index.sha256) await allArrived;
    await partial.finish();
    order.push(digest);
  });
  await transfer.fetchArtifact(artifact, never, ({ doneBytes }) => {
    if (doneBytes === artifact.sizeBytes) arrived();
  });
  assert.deepEqual(order, [artifact.index.sha256, artifact.sha256]);
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
});

test("an index that the disk cannot keep fails the fetch, and the next try ends well", async () => {
  const { artifact, shelf, transfer, line } = await bench();
  let full = true;
  slowly(shelf, async (digest, partial) => {
    if (!full || digest !== artifact.index.sha256) return partial.finish();
    await partial.close();
    throw new Error("the disk has failed");
  });
  const fetch = () => transfer.fetchArtifact(artifact, never, () => undefined);
  await assert.rejects(fetch(), /the disk has failed/);
  full = false;
  const before = line.sentBytes;
  await fetch();
  assert.ok(await shelf.isWhole(artifact.index.sha256));
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  const again = line.sentBytes - before;
  assert.ok(again <= artifact.index.sizeBytes, `${again} bytes again`);
});
