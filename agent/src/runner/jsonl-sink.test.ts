import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { JsonlSink } from "./jsonl-sink.js";
import type { SinkRecord } from "./sink.js";
import { memoryLog, temporaryFolder } from "./testing.js";

const record = (at: number): SinkRecord => ({
  ...{
    atMs: at,
    source: "inbox",
    id: `${at}`,
    input: `${at}.jpg`,
    model: "m",
    version: "1",
    label: "good",
    confidence: 0.9,
  },
});

test("lines are in order, and past its size the file is begun anew with so many predecessors kept", async () => {
  const path = join(await temporaryFolder(), "new", "answers.jsonl");
  const sink = new JsonlSink({ type: "jsonl", path, maxBytes: 1000, keep: 2 }, memoryLog());
  for (let at = 0; at < 40; at += 1) {
    sink.add(record(at));
    if (at % 3 === 0) await sink.sync();
  }
  await sink.sync();
  const filesIn = async (file: string) =>
    (await readFile(file, "utf8"))
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as SinkRecord).atMs);
  const kept = [...(await filesIn(`${path}.2`)), ...(await filesIn(`${path}.1`)), ...(await filesIn(path))];
  assert.deepEqual((await readdir(dirname(path))).length, 3);
  assert.deepEqual(
    kept,
    Array.from({ length: kept.length }, (_, at) => 40 - kept.length + at),
  );
  assert.ok((await stat(path)).size <= 1000 && (await stat(`${path}.1`)).size <= 1000);
  const counts = { waiting: 0, written: 40, failed: 0, dropped: 0 };
  assert.deepEqual(sink.status(), { type: "jsonl", target: path, state: "running", ...counts });
});

test("what cannot be written is counted and told", async () => {
  const path = join(await temporaryFolder(), "answers.jsonl");
  await mkdir(path);
  const log = memoryLog();
  const sink = new JsonlSink({ type: "jsonl", path, maxBytes: 1000, keep: 2 }, log);
  sink.add(record(1));
  await sink.sync();
  const { state, written, failed, lastError } = sink.status();
  assert.deepEqual([state, written, failed], ["failed", 0, 1]);
  assert.match(lastError ?? "", /EISDIR/);
});
