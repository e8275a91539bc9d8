import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { EngineCache } from "./engine-cache.js";

test("an artifact has one folder per machine, and those unused for the longest go when all are too large", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "muster-engines-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const cache = new EngineCache(root, 1500);
  const fill = async (folder: string, usedMs: number) => {
    await writeFile(join(folder, "model.engine"), Buffer.alloc(600));
    await utimes(folder, new Date(usedMs), new Date(usedMs));
  };
  const first = await cache.folder("a", "jetson");
  await fill(first, 1000);
  assert.equal(await cache.folder("a", "jetson"), first);
  await fill(first, 1000);
  const second = await cache.folder("b", "jetson");
  await fill(second, 2000);
  const other = await cache.folder("a", "another build");
  assert.notEqual(other, first);
  await fill(other, 3000);
  const last = await cache.folder("c", "jetson");
  const left = (await readdir(root)).sort();
  assert.deepEqual(left, [basename(second), basename(other), basename(last)].sort(), "the oldest is gone");
});

test("the folder that is asked for stays, however large it is", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "muster-engines-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const cache = new EngineCache(root, 100);
  const folder = await cache.folder("a", "jetson");
  await writeFile(join(folder, "model.engine"), Buffer.alloc(600));
  await cache.folder("a", "jetson");
  assert.deepEqual(await readdir(folder), ["model.engine"]);
});
