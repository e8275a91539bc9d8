import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { madeOnce } from "./made-once.js";

async function place(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-made-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "cache");
}

const holding = (text: string) => (folder: string) => writeFile(join(folder, "text"), text);

test("a folder is made once, and by the first of two that make it at a time", async (t) => {
  const cache = await place(t);
  const folder = join(cache, "a");
  await Promise.all([
    madeOnce(folder, holding("one")),
    madeOnce(folder, async (unfinished) => {
      await madeOnce(folder, holding("one"));
      await holding("two")(unfinished);
    }),
  ]);
  await madeOnce(folder, holding("three"));
  assert.equal(await readFile(join(folder, "text"), "utf8"), "one");
  assert.deepEqual(await readdir(cache), ["a"]);
});

test("what failed half way leaves nothing, and is made the next time", async (t) => {
  const cache = await place(t);
  const folder = join(cache, "a");
  const failing = async (unfinished: string) => {
    await holding("half")(unfinished);
    throw new Error("no network");
  };
  await assert.rejects(madeOnce(folder, failing), /no network/);
  assert.deepEqual(await readdir(cache), []);
  assert.equal(await readFile(join(await madeOnce(folder, holding("whole")), "text"), "utf8"), "whole");
});
