import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { clearTemporary, emptyFolder, isMissing, readIfThere, syncFolder, writeDurably } from "./durable-file.js";

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "muster-durable-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

test("a file is replaced whole, its folder made when it is missing, and nothing is left beside it", async (t) => {
  const path = join(await folder(t), "a/b/state.json");
  await writeDurably(path, "a long first text");
  await writeDurably(path, "short");
  assert.equal(await readFile(path, "utf8"), "short");
  await writeDurably(path, Buffer.from([0, 255]));
  assert.deepEqual(await readFile(path), Buffer.from([0, 255]));
  assert.deepEqual(await readdir(join(path, "..")), ["state.json"]);
});

test("a new file is for its owner only, unless asked otherwise", async (t) => {
  const root = await folder(t);
  await writeDurably(join(root, "key"), "secret");
  await writeDurably(join(root, "open"), "text", 0o644);
  assert.equal((await stat(join(root, "key"))).mode & 0o777, 0o600);
  assert.equal((await stat(join(root, "open"))).mode & 0o777, 0o644);
});

test("many writers at once leave one whole text and no temporary file", async (t) => {
  const root = await folder(t);
  const texts = Array.from({ length: 20 }, (_, at) => String(at).repeat(10_000));
  await Promise.all(texts.map((text) => writeDurably(join(root, "a"), text)));
  assert.ok(texts.includes(await readFile(join(root, "a"), "utf8")));
  assert.deepEqual(await readdir(root), ["a"]);
});

test("a write that fails leaves the old text and no temporary file", async (t) => {
  const root = await folder(t);
  await mkdir(join(root, "taken", "by-a-folder"), { recursive: true });
  await assert.rejects(writeDurably(join(root, "taken"), "text"));
  assert.deepEqual(await readdir(root), ["taken"]);
});

test("a file that is not there reads as undefined; one that cannot be read is an error", async (t) => {
  const root = await folder(t);
  assert.equal(await readIfThere(join(root, "none")), undefined);
  await assert.rejects(readIfThere(root), { code: "EISDIR" });
  await chmod(root, 0o700);
  await syncFolder(root);
  assert.ok(isMissing(Object.assign(new Error("no"), { code: "ENOENT" })));
  assert.ok(!isMissing(new Error("no")) && !isMissing(undefined));
});

test("what a kill left half-written is cleared, and nothing else", async (t) => {
  const root = await folder(t);
  await writeDurably(join(root, "key"), "secret");
  for (const name of [".key.4711.k3j2h1.tmp", "key.tmp", ".hidden"]) await writeFile(join(root, name), "half");
  await clearTemporary(root);
  assert.deepEqual((await readdir(root)).sort(), [".hidden", "key", "key.tmp"]);
  await clearTemporary(join(root, "missing"));
});

test("a folder for one run is made, or emptied with all that is in it", async (t) => {
  const root = join(await folder(t), "a", "work");
  assert.equal(await emptyFolder(root), root);
  await writeDurably(join(root, "push-1", "0"), "model");
  await emptyFolder(root);
  assert.deepEqual(await readdir(root), []);
});
