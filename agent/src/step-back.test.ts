import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const script = (module: string) => `
  import { readdirSync } from "node:fs";
  import { readFile } from "node:fs/promises";
  import { getPriority } from "node:os";
  import { stepBack } from ${JSON.stringify(module)};
  // Has the threads begin that read and write files.
  await readFile("/proc/self/status");
  const before = getPriority();
  stepBack({ warn: (event) => console.error(event) });
  console.log(JSON.stringify({ before, after: readdirSync("/proc/self/task").map((thread) => getPriority(Number(thread))) }));
`;

test("every thread of the agent steps back, those that write files and collect garbage as well", {
  skip: process.platform !== "linux" && "only there a priority is a thread's own",
}, async () => {
  const module = new URL("./step-back.js", import.meta.url).href;
  const node = ["--input-type=module", "--eval", script(module)];
  const { stdout } = await promisify(execFile)(process.execPath, node);
  const { before, after } = JSON.parse(stdout) as { before: number; after: number[] };
  assert.ok(after.length > 4, `${after.length} threads`);
  assert.deepEqual(new Set(after), new Set([Math.min(19, before + 5)]));
});
