import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Log } from "@muster/shared";
import { type Note, spoolContract } from "../testing/spool-contract.js";
import { FolderSpool } from "./folder-spool.js";

const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function place() {
  const folder = await mkdtemp(join(tmpdir(), "muster-spool-"));
  return { folder, open: () => FolderSpool.open<Note>(folder, { maxWaiting: 5, log }) };
}

spoolContract("folder spool", place);

test("a damaged record is dropped and counted, and does not hold up those behind it", async () => {
  const { folder, open } = await place();
  const spool = await open();
  for (const text of ["a", "b"]) await spool.add((seq) => ({ seq, text }));
  await writeFile(join(folder, "000000000001.json"), '{"seq":1,"te');
  const again = await open();
  assert.deepEqual(await again.oldest(10), [{ seq: 2, text: "b" }]);
  assert.deepEqual(again.counts(), { waiting: 1, dropped: 1 });
});

test("what a crash left half-written is cleared", async () => {
  const { folder, open } = await place();
  await writeFile(join(folder, ".000000000001.json.1.x.tmp"), "{");
  assert.deepEqual((await open()).counts(), { waiting: 0, dropped: 0 });
});
