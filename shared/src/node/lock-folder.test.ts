import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { lockFolder } from "./lock-folder.js";

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "muster-lock-"));
  t.after(() => rm(path, { recursive: true }));
  return join(path, "data");
}

test("a folder is this process's until it lets go", async (t) => {
  const path = await folder(t);
  const release = await lockFolder(path);
  assert.equal(await readFile(join(path, "lock"), "utf8"), String(process.pid));
  await release();
  assert.deepEqual(await readdir(path), []);
});

test("a folder in which another process works is refused by its number", async (t) => {
  const path = await folder(t);
  await (await lockFolder(path))();
  await writeFile(join(path, "lock"), String(process.ppid));
  await assert.rejects(lockFolder(path), {
    code: "store/in-use",
    message: new RegExp(`process ${process.ppid} works in`),
  });
});

test("the lock of a process that is gone, or of a crash while it was written, is taken over", async (t) => {
  const path = await folder(t);
  for (const text of [String(spawnSync(process.execPath, ["-e", ""]).pid), "", "garbage", "-1"]) {
    await (await lockFolder(path))();
    await writeFile(join(path, "lock"), text);
    await (await lockFolder(path))();
  }
});
