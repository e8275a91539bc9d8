import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@muster/shared";
import { blobStoreContract, MemoryBlobs } from "@muster/shared/testing";
import { CountedBlobs } from "./counted-blobs.js";

blobStoreContract("CountedBlobs", () => CountedBlobs.open(new MemoryBlobs()));

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
const limits = { maxBytes: 10, maxBlobs: 3, cure: "raise maxUploadBytes" };
const put = (store: CountedBlobs, text: string) => store.write(sha256(text), once(text), 100);

test("a store counts what it holds, also what was there before and what is written again", async () => {
  const inner = new MemoryBlobs();
  await inner.write(sha256("old"), once("old"), 100);
  const store = await CountedBlobs.open(inner, { limits });
  await put(store, "new");
  await put(store, "new");
  assert.deepEqual(store.held, { blobs: 2, bytes: 6 });
  await store.delete(sha256("old"));
  await store.delete(sha256("never there"));
  assert.deepEqual(store.held, { blobs: 1, bytes: 3 });
});

test("past its limits a store refuses, says what to do, counts it, and has room again when something is deleted", async () => {
  const store = await CountedBlobs.open(new MemoryBlobs(), { limits });
  await put(store, "12345");
  await assert.rejects(put(store, "678901"), { code: "store/full", message: /1 files of 5 B; raise maxUploadBytes/ });
  await put(store, "678");
  await put(store, "9");
  await assert.rejects(put(store, ""), { code: "store/full" });
  assert.deepEqual([store.refused, store.held], [2, { blobs: 3, bytes: 9 }]);
  await store.delete(sha256("12345"));
  await put(store, "543");
  assert.deepEqual(store.held, { blobs: 3, bytes: 7 });
});

test("what is on its way in counts, and no longer when it breaks off", async () => {
  const store = await CountedBlobs.open(new MemoryBlobs(), { limits });
  let breakOff: () => void = () => undefined;
  const broken = new Promise<void>((_, reject) => {
    breakOff = () => reject(new Error("connection lost"));
  });
  let sent: () => void = () => undefined;
  const arrived = new Promise<void>((resolve) => {
    sent = resolve;
  });
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("12345678");
    sent();
    await broken;
  }
  const coming = store.add(slow(), 100);
  await arrived;
  await assert.rejects(put(store, "123"), { code: "store/full" });
  breakOff();
  await assert.rejects(coming, /connection lost/);
  await put(store, "123");
  assert.deepEqual(store.held, { blobs: 1, bytes: 3 });
});
