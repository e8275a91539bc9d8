import assert from "node:assert/strict";
import { appendFile, readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { recordOf } from "../testing/sink-contract.js";
import { AnswerSpool } from "./answer-spool.js";
import { temporaryFolder } from "./testing.js";

const some = (from: number, count: number) => Array.from({ length: count }, (_, at) => recordOf(from + at));
const open = (folder: string, maxWaiting = 100) => AnswerSpool.open(folder, { maxWaiting });
const numbers = async (spool: AnswerSpool, limit = 1000) => (await spool.oldest(limit)).map(({ atMs }) => atMs);

test("answers come out as they went in, also while more are added, and nothing is left on the disk", async () => {
  const folder = await temporaryFolder();
  const spool = await open(folder);
  await spool.append(some(0, 60));
  const got: number[] = [];
  for (let added = 60; spool.waiting > 0; ) {
    const batch = await numbers(spool, 7);
    got.push(...batch);
    if (added < 90) {
      await spool.append(some(added, 5));
      added += 5;
    }
    await spool.handedOver(batch.length);
  }
  assert.deepEqual(
    got,
    Array.from({ length: 90 }, (_, at) => at),
  );
  assert.deepEqual(await readdir(folder), []);
});

test("after a crash at most one file is handed over again, and numbers go on", async () => {
  const folder = await temporaryFolder();
  const before = await open(folder);
  await before.append(some(0, 80));
  assert.deepEqual(await numbers(before, 30), [...Array(25).keys()], "a file at a time");
  await before.handedOver(25);
  assert.deepEqual((await numbers(before, 10)).length, 10);
  await before.handedOver(10);
  const after = await open(folder);
  assert.equal(after.waiting, 55);
  await after.append(some(80, 1));
  const got: number[] = [];
  while (after.waiting > 0) {
    const batch = await numbers(after);
    got.push(...batch);
    await after.handedOver(batch.length);
  }
  assert.deepEqual(
    got,
    Array.from({ length: 56 }, (_, at) => 25 + at),
  );
});

test("a line that a power cut left half written costs only itself", async () => {
  const folder = await temporaryFolder();
  await (await open(folder)).append(some(0, 3));
  const [name = ""] = await readdir(folder);
  await appendFile(join(folder, name), JSON.stringify(recordOf(3)).slice(0, 20));
  const spool = await open(folder);
  assert.equal(spool.waiting, 3);
  await spool.append(some(4, 1));
  assert.deepEqual(await numbers(spool), [0, 1, 2, 4]);
  await truncate(join(folder, name), 0);
  assert.equal((await open(folder)).waiting, 0);
});

test("beyond its cap the oldest files go, and what is left is whole", async () => {
  const spool = await open(await temporaryFolder(), 20);
  await spool.append(some(0, 33));
  const went = await spool.trim();
  assert.ok(went >= 13 && went <= 17, `${went} went`);
  const left = await numbers(spool);
  assert.equal(left[0], went);
  assert.equal(spool.waiting, 33 - went);
  assert.equal(await spool.trim(), 0);
});
