import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lockFolder } from "./lock-folder.js";

const folder = () => mkdtemp(join(tmpdir(), "muster-lock-"));
const holder = `import { lockFolder } from ${JSON.stringify(new URL("./lock-folder.js", import.meta.url).href)};
await lockFolder(process.argv[1]); console.log("locked"); setInterval(() => {}, 1000);`;

test("a folder is one process's until that ends, however it ends", async () => {
  const place = await folder();
  const child = spawn(process.execPath, ["--input-type=module", "-e", holder, place], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await assert.rejects(lockFolder(place), { code: "store/in-use", message: new RegExp(`process ${child.pid} `) });
  child.kill("SIGKILL");
  await once(child, "exit");
  const release = await lockFolder(place);
  await release();
  await (await lockFolder(place))();
});

test("a lock of another process that had the same number is taken over", {
  skip: process.platform !== "linux",
}, async () => {
  const place = await folder();
  // The parent of this test lives, but did not start in that boot at that time.
  await writeFile(join(place, "lock"), `${process.ppid} another-boot 1`);
  const release = await lockFolder(place);
  assert.match(await readFile(join(place, "lock"), "utf8"), new RegExp(`^${process.pid} `));
  await release();
});

test("a lock that cannot be read is taken over", async () => {
  const place = await folder();
  await writeFile(join(place, "lock"), "");
  await (await lockFolder(place))();
});
