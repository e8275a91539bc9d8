import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sha256 } from "@muster/shared";
import { FolderShelf } from "./folder-shelf.js";

const chunkBytes = 10_000;
const bytes = randomBytes(8 * chunkBytes);
const digest = sha256(bytes);
const ranges = Array.from({ length: 8 }, (_, at) => {
  const offset = at * chunkBytes;
  return { offset, length: chunkBytes, sha256: sha256(bytes.subarray(offset, offset + chunkBytes)) };
});

/** A shelf with one blob on it. */
async function bench(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "muster-shelf-"));
  t.after(() => rm(folder, { recursive: true }));
  const shelf = await FolderShelf.open(folder);
  const fill = async (offsets: readonly number[]) => {
    const partial = await shelf.begin(digest, bytes.length, ranges);
    for (const offset of offsets) await partial.write(offset, bytes.subarray(offset, offset + chunkBytes));
    return partial;
  };
  await (await fill(ranges.map(({ offset }) => offset))).finish();
  return { folder, shelf, fill, path: shelf.path(digest) };
}

test("a blob is whole until a bit of it flips, its end is missing, or it is gone", async (t) => {
  const { shelf, path } = await bench(t);
  assert.equal(await shelf.isWhole(digest), true);
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(5) ^ 1, 5);
  await writeFile(path, flipped);
  assert.equal(await shelf.isWhole(digest), false);
  await writeFile(path, bytes.subarray(0, -1));
  assert.equal(await shelf.isWhole(digest), false);
  await rm(path);
  assert.equal(await shelf.isWhole(digest), false);
});

test("a damaged blob is taken back as a partial one, and what is good of it need not come again, over a restart too", async (t) => {
  const { shelf, path, folder, fill } = await bench(t);
  const damaged = Buffer.from(bytes);
  damaged.writeUInt8(damaged.readUInt8(2 * chunkBytes) ^ 1, 2 * chunkBytes);
  await writeFile(path, damaged);
  await truncate(path, 7 * chunkBytes - 1);
  const good = [0, 1, 3, 4, 5].map((at) => at * chunkBytes);
  const first = await shelf.begin(digest, bytes.length, ranges);
  assert.deepEqual([...first.present], good);
  assert.equal(await shelf.has(digest), false, "what is not whole is not among the blobs");
  await first.close();
  const second = await (await FolderShelf.open(folder)).begin(digest, bytes.length, ranges);
  assert.deepEqual([...second.present], good);
  await second.close();
  await (await fill([2, 6, 7].map((at) => at * chunkBytes))).finish();
  assert.equal(await shelf.isWhole(digest), true);
  assert.deepEqual(await readdir(join(folder, "partials")), []);
});

test("a journal whose last line a power cut left unfinished loses that line only", async (t) => {
  const { shelf, fill, folder } = await bench(t);
  await shelf.remove(digest);
  await (await fill([0, chunkBytes])).close();
  const journal = join(folder, "partials", `${digest}.journal`);
  await writeFile(journal, (await readFile(journal, "utf8")).slice(0, -2));
  await (await fill([3 * chunkBytes])).close();
  const again = await shelf.begin(digest, bytes.length, ranges);
  assert.deepEqual([...again.present], [0, 3 * chunkBytes]);
  await again.close();
});

test("a whole that is wrong although its ranges are right is thrown away, and its journal with it", async (t) => {
  const { shelf, folder } = await bench(t);
  const partial = await shelf.begin("a".repeat(64), bytes.length, ranges);
  for (const { offset } of ranges) await partial.write(offset, bytes.subarray(offset, offset + chunkBytes));
  await assert.rejects(partial.finish(), { code: "artifact/digest-mismatch" });
  assert.deepEqual(await readdir(join(folder, "partials")), []);
});

test("only what is named stays, whole or in part", async (t) => {
  const { shelf, folder } = await bench(t);
  const [wanted, other] = ["b".repeat(64), "c".repeat(64)];
  for (const name of [wanted, other]) {
    const partial = await shelf.begin(name, bytes.length, ranges);
    await partial.write(0, bytes.subarray(0, chunkBytes));
    await partial.close();
  }
  await shelf.keepOnly(new Set([wanted]));
  assert.deepEqual(await readdir(join(folder, "blobs")), []);
  assert.deepEqual((await readdir(join(folder, "partials"))).sort(), [`${wanted}.journal`, `${wanted}.part`]);
  await shelf.remove(wanted);
  assert.deepEqual(await readdir(join(folder, "partials")), []);
});
