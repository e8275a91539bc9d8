import assert from "node:assert/strict";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FileLedger } from "./file-ledger.js";
import { temporaryFolder } from "./testing.js";

test("marks survive a restart, and a line that a power cut left half written costs only itself", async () => {
  const path = join(await temporaryFolder(), "ledger.jsonl");
  const first = await FileLedger.open(path);
  await first.add([{ name: "a.jpg", mtimeMs: 1.5 }], new Set(["a.jpg"]));
  await appendFile(path, '[7,"torn');
  const second = await FileLedger.open(path);
  await second.add([{ name: "b.jpg", mtimeMs: 2 }], new Set(["a.jpg", "b.jpg"]));
  const third = await FileLedger.open(path);
  assert.ok(third.has({ name: "a.jpg", mtimeMs: 1.5 }));
  assert.ok(third.has({ name: "b.jpg", mtimeMs: 2 }));
  assert.ok(!third.has({ name: "a.jpg", mtimeMs: 3 }), "written again, so it is another picture");
});

test("files that are gone are forgotten in time, so that the ledger does not grow", async () => {
  const path = join(await temporaryFolder(), "ledger.jsonl");
  const ledger = await FileLedger.open(path);
  const present = new Set(["stays.jpg"]);
  await ledger.add([{ name: "stays.jpg", mtimeMs: 1 }], present);
  for (let at = 0; at < 30; at += 1) {
    await ledger.add(
      Array.from({ length: 100 }, (_, n) => ({ name: `${at}-${n}.jpg`, mtimeMs: 2 })),
      present,
    );
  }
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");
  assert.ok(lines.length <= 1002, `${lines.length} lines`);
  assert.ok((await FileLedger.open(path)).has({ name: "stays.jpg", mtimeMs: 1 }));
});
