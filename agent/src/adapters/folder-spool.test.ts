import assert from "node:assert/strict";
import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Log } from "@muster/shared";
import { type AtRest, encryptedAtRest, inTheClear } from "../at-rest.js";
import { type Note, spoolContract } from "../testing/spool-contract.js";
import { FolderSpool } from "./folder-spool.js";

const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function place(atRest: AtRest = inTheClear) {
  const folder = await mkdtemp(join(tmpdir(), "muster-spool-"));
  return { folder, open: (how = atRest) => FolderSpool.open<Note>(folder, { maxWaiting: 5, atRest: how, log }) };
}

const newKeyFile = async () => join(await mkdtemp(join(tmpdir(), "muster-key-")), "at-rest.key");

spoolContract("folder spool", place);
spoolContract("encrypted folder spool", async () => place(await encryptedAtRest(await newKeyFile())));

test("encrypted records tell nothing without their key, and encryption can be switched on and off", async () => {
  const keyFile = await newKeyFile();
  const { folder, open } = await place();
  const plain = await open();
  await plain.add((seq) => ({ seq, text: "secret before" }));
  const sealed = await open(await encryptedAtRest(keyFile));
  await sealed.add((seq) => ({ seq, text: "secret after" }));
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(join(folder, "000000000002.json"))).includes("secret"));
  const both = await (await open(await encryptedAtRest(keyFile))).oldest(10);
  assert.deepEqual(
    both.map(({ text }) => text),
    ["secret before", "secret after"],
  );
  const stranger = await open(await encryptedAtRest(await newKeyFile()));
  assert.deepEqual([await stranger.oldest(10), stranger.counts()], [[both[0]], { waiting: 1, dropped: 1 }]);
  await writeFile(keyFile, "short");
  await assert.rejects(encryptedAtRest(keyFile), { code: "store/damaged", message: /no key of 64 hex digits/ });
});

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
