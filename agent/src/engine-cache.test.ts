import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { EngineCache, emptyEngineFolder, isTaken } from "./engine-cache.js";

async function bench(t: TestContext, maxBytes = 1_000_000) {
  const root = await mkdtemp(join(tmpdir(), "muster-engines-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  return { root, cache: new EngineCache(root, maxBytes) };
}

test("an artifact has one folder per machine, and those unused for the longest go when all are too large", async (t) => {
  const { root, cache } = await bench(t, 1500);
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
  const { cache } = await bench(t, 100);
  const folder = await cache.folder("a", "jetson");
  await writeFile(join(folder, "model.engine"), Buffer.alloc(600));
  await cache.folder("a", "jetson");
  assert.deepEqual(await readdir(folder), ["model.engine"]);
});

test("what a killed agent was filling goes, and what else lies there is left alone", async (t) => {
  const { root, cache } = await bench(t, 0);
  const folder = await cache.folder("a", "jetson");
  await mkdir(`${folder}.filling`);
  await writeFile(join(`${folder}.filling`, "half.engine"), "half");
  await writeFile(join(root, "README"), "not ours");
  await mkdir(join(root, "notes", "deep"), { recursive: true });
  await writeFile(join(root, "notes", "large"), Buffer.alloc(600));
  await mkdir(join(folder, "deeper"));
  await symlink("/nowhere", join(folder, "dangling"));
  assert.equal(await cache.folder("a", "jetson"), folder);
  assert.deepEqual((await readdir(root)).sort(), ["README", "notes", basename(folder)].sort());
  assert.deepEqual(await cache.files("a", "jetson"), []);
});

test("an engine from elsewhere is put in place whole or not at all, and does not replace one that is there", async (t) => {
  const { root, cache } = await bench(t);
  const put = (text: string) =>
    cache.put("a", "jetson", async (folder) => {
      await writeFile(join(folder, "model.engine"), text);
      // Another model has its folder meanwhile.
      await cache.folder("b", "jetson");
      if (text === "") throw new Error("no room");
    });
  const folder = await cache.folder("a", "jetson");
  await assert.rejects(put(""), /no room/);
  assert.deepEqual([await cache.files("a", "jetson"), (await readdir(root)).length], [[], 2]);
  await put("first");
  await put("second, larger");
  const files = await cache.files("a", "jetson");
  assert.deepEqual(
    files.map(({ name, sizeBytes }) => [name, sizeBytes]),
    [["model.engine", 5]],
  );
  assert.deepEqual([await isTaken(folder), await cache.folder("a", "jetson")], [true, folder]);
  await emptyEngineFolder(folder);
  assert.deepEqual([await isTaken(folder), await readdir(folder)], [false, []]);
});

test("an artifact is dropped for every machine, and with it what does not tell of which artifact it is", async (t) => {
  const { root, cache } = await bench(t);
  await cache.drop("a");
  const former = join(root, "0".repeat(32));
  for (const folder of [await cache.folder("a", "jetson"), await cache.folder("a", "before the update"), former]) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "model.engine"), "weights");
  }
  const other = await cache.folder("b", "jetson");
  await mkdir(former, { recursive: true });
  await writeFile(join(root, "README"), "not ours");
  await cache.drop("a");
  assert.deepEqual((await readdir(root)).sort(), ["README", basename(other)].sort());
});

test("a folder with a name of before goes once another is asked for", async (t) => {
  const { root, cache } = await bench(t);
  await mkdir(join(root, "f".repeat(32)));
  const folder = await cache.folder("a", "jetson");
  assert.deepEqual(await readdir(root), [basename(folder)]);
});
