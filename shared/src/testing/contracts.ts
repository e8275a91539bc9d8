import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sha256 } from "../ids.js";
import type { BlobStore, DocStore } from "../ports.js";

/** The document the suite stores. */
export interface SampleDoc {
  n: number;
  items: string[];
}

/** What every {@link DocStore} does. `open` opens the same store again when called again within one test. */
export function docStoreContract(name: string, open: (initial: SampleDoc) => Promise<DocStore<SampleDoc>>): void {
  test(`${name}: a document never written reads as the initial one`, async () => {
    assert.deepEqual(await (await open({ n: 0, items: [] })).read(), { n: 0, items: [] });
  });

  test(`${name}: what is written is read back, whole`, async () => {
    const store = await open({ n: 0, items: [] });
    await store.write({ n: 1, items: ["a", "é"] });
    assert.deepEqual(await store.read(), { n: 1, items: ["a", "é"] });
  });

  test(`${name}: what is read, and what was written, can be changed without changing the store`, async () => {
    const store = await open({ n: 0, items: [] });
    const written = { n: 1, items: ["a"] };
    const writing = store.write(written);
    written.items.push("b");
    await writing;
    (await store.read()).items.push("c");
    assert.deepEqual(await store.read(), { n: 1, items: ["a"] });
  });

  test(`${name}: the last of many writes at once wins`, async () => {
    const store = await open({ n: 0, items: [] });
    await Promise.all(Array.from({ length: 20 }, (_, n) => store.write({ n, items: [] })));
    assert.equal((await store.read()).n, 19);
  });
}

/** What every {@link BlobStore} does. */
export function blobStoreContract(name: string, open: () => Promise<BlobStore>): void {
  const bytes = randomBytes(300_000);
  const digest = sha256(bytes);
  async function* pieces(): AsyncIterable<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000);
  }

  test(`${name}: a stored blob is read back in parts`, async () => {
    const store = await open();
    assert.equal(await store.size(digest), undefined);
    assert.equal(await store.write(digest, pieces(), 1_000_000), bytes.length);
    assert.equal(await store.size(digest), bytes.length);
    assert.deepEqual(await store.read(digest, 1000, 5000), bytes.subarray(1000, 6000));
    assert.deepEqual(await store.read(digest, 299_990, 5000), bytes.subarray(299_990));
    const target = Buffer.alloc(5000);
    assert.equal(await store.readInto(digest, 299_990, [target]), 10);
    assert.deepEqual(target.subarray(0, 11), Buffer.concat([bytes.subarray(299_990), Buffer.alloc(1)]));
    const [one, two] = [Buffer.alloc(3000), Buffer.alloc(2000)];
    assert.equal(await store.readInto(digest, 70_000, [one, two]), 5000);
    assert.deepEqual(Buffer.concat([one, two]), bytes.subarray(70_000, 75_000));
    assert.equal(await store.readInto(digest, 296_000, [one, two]), 4000);
    assert.deepEqual(Buffer.concat([one, two.subarray(0, 1000)]), bytes.subarray(296_000));
  });

  test(`${name}: bytes whose digest is not known are named by it`, async () => {
    const store = await open();
    assert.deepEqual(await store.add(pieces(), 1_000_000), { sha256: digest, sizeBytes: bytes.length });
    assert.deepEqual(await store.read(digest, 0, bytes.length), bytes);
    await assert.rejects(store.add(pieces(), 200_000), { code: "artifact/too-large" });
  });

  test(`${name}: who adds bytes hears of their digest before they are there, and can refuse them`, async () => {
    const store = await open();
    const told = async (named: string) => {
      assert.deepEqual([named, await store.size(digest)], [digest, undefined]);
      throw new Error("no");
    };
    await assert.rejects(store.add(pieces(), 1_000_000, told), /^Error: no$/);
    assert.equal(await store.size(digest), undefined);
  });

  test(`${name}: storing a blob again changes nothing`, async () => {
    const store = await open();
    await store.write(digest, pieces(), 1_000_000);
    await store.write(digest, pieces(), 1_000_000);
    assert.equal(await store.size(digest), bytes.length);
  });

  test(`${name}: bytes of another digest, or too many, are not stored`, async () => {
    const store = await open();
    const other = sha256("other");
    await assert.rejects(store.write(other, pieces(), 1_000_000), { code: "artifact/digest-mismatch" });
    await assert.rejects(store.write(digest, pieces(), 200_000), { code: "artifact/too-large" });
    assert.equal(await store.size(other), undefined);
    assert.equal(await store.size(digest), undefined);
  });

  test(`${name}: a missing blob is named`, async () => {
    const store = await open();
    await assert.rejects(store.read(digest, 0, 1), { code: "artifact/missing" });
    await assert.rejects(store.readInto(digest, 0, [Buffer.alloc(1)]), { code: "artifact/missing" });
    await assert.rejects(store.toFile(digest, join(tmpdir(), "never")), { code: "artifact/missing" });
    await store.delete(digest);
  });

  test(`${name}: blobs are listed, exported and deleted`, async (t) => {
    const store = await open();
    await store.write(digest, pieces(), 1_000_000);
    const listed: string[] = [];
    for await (const blob of store.list()) listed.push(blob.digest);
    assert.deepEqual(listed, [digest]);
    const folder = await mkdtemp(join(tmpdir(), "muster-blob-"));
    t.after(() => rm(folder, { recursive: true }));
    await store.toFile(digest, join(folder, "copy"));
    assert.deepEqual(await readFile(join(folder, "copy")), bytes);
    await assert.rejects(store.toFile(digest, join(folder, "copy")));
    await store.read(digest, 0, 10);
    await store.delete(digest);
    assert.equal(await store.size(digest), undefined);
    await assert.rejects(store.read(digest, 0, 1), { code: "artifact/missing" });
  });

  test(`${name}: many blobs are read at the same time`, async () => {
    const store = await open();
    const blobs = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        async function* once() {
          yield Buffer.alloc(1000, n);
        }
        return (await store.add(once(), 1000)).sha256;
      }),
    );
    for (let round = 0; round < 3; round += 1) {
      const read = await Promise.all(blobs.map((blob) => store.read(blob, 500, 10)));
      read.forEach((part, n) => void assert.deepEqual(part, Buffer.alloc(10, n)));
    }
  });
}
