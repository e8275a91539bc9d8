import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sha256 } from "../ids.js";
import { blobStoreContract } from "../testing/contracts.js";
import { MemoryBlobs } from "../testing/memory-stores.js";
import { FolderBlobs } from "./folder-blobs.js";

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-blobs-"));
  folders.push(folder);
  return folder;
}
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

blobStoreContract("FolderBlobs", async () => FolderBlobs.open(await newFolder()));
blobStoreContract("MemoryBlobs", async () => new MemoryBlobs());

async function* pieces(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test("blobs survive the process that wrote them; what a crash left half-written does not", async () => {
  const folder = await newFolder();
  const digest = sha256("hello");
  await (await FolderBlobs.open(folder)).write(digest, pieces("hel", "lo"), 100);
  await writeFile(join(folder, `${sha256("other")}.abc.tmp`), "half");
  const store = await FolderBlobs.open(folder);
  assert.deepEqual(await readdir(folder), [digest]);
  assert.equal((await store.read(digest, 0, 100)).toString(), "hello");
});

test("a write that fails leaves nothing behind", async () => {
  const folder = await newFolder();
  const store = await FolderBlobs.open(folder);
  async function* broken(): AsyncIterable<Uint8Array> {
    yield Buffer.from("hel");
    throw new Error("connection lost");
  }
  await assert.rejects(store.write(sha256("hello"), broken(), 100), /connection lost/);
  await assert.rejects(store.write(sha256("hello"), pieces("hello!"), 100), { code: "artifact/digest-mismatch" });
  await assert.rejects(store.write(sha256("hello"), pieces("hello"), 4), { code: "artifact/too-large" });
  assert.deepEqual(await readdir(folder), []);
});

test("many writers of one blob at once leave it once, and whole", async () => {
  const folder = await newFolder();
  const store = await FolderBlobs.open(folder);
  await Promise.all(Array.from({ length: 10 }, () => store.write(sha256("hello"), pieces("hello"), 5)));
  assert.deepEqual(await readdir(folder), [sha256("hello")]);
  assert.equal(await store.size(sha256("hello")), 5);
});

test("a name that is no digest never becomes a path", async () => {
  const folder = await newFolder();
  const store = await FolderBlobs.open(join(folder, "blobs"));
  await writeFile(join(folder, "secret"), "secret");
  for (const name of ["../secret", "", "/etc/passwd", sha256("x").toUpperCase()]) {
    await assert.rejects(async () => store.read(name, 0, 10), name);
    await assert.rejects(async () => store.write(name, pieces("x"), 10), name);
    await assert.rejects(async () => store.delete(name), name);
  }
  assert.equal((await stat(join(folder, "secret"))).size, 6);
});

test("an exported file is not written over, and a foreign file is not listed", async () => {
  const folder = await newFolder();
  const store = await FolderBlobs.open(folder);
  const digest = sha256("hello");
  await store.write(digest, pieces("hello"), 5);
  await writeFile(join(folder, "README"), "not ours");
  const listed = [];
  for await (const { sizeBytes } of store.list()) listed.push(sizeBytes);
  assert.deepEqual(listed, [5]);
  const target = join(folder, "target");
  await writeFile(target, "there before");
  await assert.rejects(store.toFile(digest, target), { code: "EEXIST" });
  assert.equal((await stat(target)).size, "there before".length);
});

test("an empty blob is a blob", async () => {
  for (const store of [await FolderBlobs.open(await newFolder()), new MemoryBlobs()]) {
    assert.equal(await store.write(sha256(""), pieces(), 0), 0);
    assert.equal(await store.size(sha256("")), 0);
    assert.equal((await store.read(sha256(""), 0, 10)).length, 0);
  }
});

test("a blob that was damaged on the disk is whole once it is written again", async () => {
  const folder = await newFolder();
  const store = await FolderBlobs.open(folder);
  const digest = sha256("hello");
  await store.write(digest, pieces("hello"), 5);
  await writeFile(join(folder, digest), "hellO");
  assert.equal((await store.read(digest, 0, 5)).toString(), "hellO");
  await store.write(digest, pieces("hello"), 5);
  assert.equal((await store.read(digest, 0, 5)).toString(), "hello");
});
