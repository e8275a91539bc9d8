import assert from "node:assert/strict";
import { type FileHandle, mkdir, open, readdir, readFile, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@muster/shared/node";
import { RecordingClock } from "../testing/recording-clock.js";
import { JsonlSink } from "./jsonl-sink.js";
import type { SinkRecord } from "./sink.js";
import { memoryLog, temporaryFolder, until } from "./testing.js";

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
  const sink = new JsonlSink({
    clock: systemClock,
    log: memoryLog(),
    settings: { type: "jsonl", path, maxBytes: 1000, keep: 2 },
  });
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

test("what cannot be written waits, is told, and is written once it can be", async (t) => {
  const path = join(await temporaryFolder(), "answers.jsonl");
  await mkdir(path);
  const settings = { type: "jsonl" as const, path, maxBytes: 100_000, keep: 1 };
  const sink = new JsonlSink({ settings, clock: new RecordingClock(20), log: memoryLog() });
  t.after(() => sink.close());
  for (let at = 0; at < 1000; at += 1) {
    assert.equal(sink.full, false);
    sink.add(record(at));
  }
  await assert.rejects(sink.sync(), { code: "sink/failed", message: /EISDIR/ });
  const { state, waiting, written, failed, lastError } = sink.status();
  assert.deepEqual([sink.full, state, waiting, written, failed], [true, "failed", 1000, 0, 0]);
  assert.match(lastError ?? "", /EISDIR/);
  await rmdir(path);
  await until("they are written", () => sink.status().written === 1000);
  assert.deepEqual([sink.full, sink.status().state], [false, "running"]);
});

test("what could not be written until the end is counted as lost", async () => {
  const path = join(await temporaryFolder(), "answers.jsonl");
  await mkdir(path);
  const settings = { type: "jsonl" as const, path, maxBytes: 1000, keep: 1 };
  const sink = new JsonlSink({ settings, clock: systemClock, log: memoryLog() });
  sink.add(record(1));
  await sink.close();
  assert.deepEqual([sink.status().written, sink.status().failed], [0, 1]);
});

test("whoever waits for lines that begin a new file waits for those in the file before, too", async (t) => {
  const folder = await temporaryFolder();
  const path = join(folder, "answers.jsonl");
  const settings = { type: "jsonl" as const, path, maxBytes: 200, keep: 2 };
  const sink = new JsonlSink({ settings, clock: systemClock, log: memoryLog() });
  t.after(() => sink.close());
  sink.add(record(1));
  await until("it is written, without a flush of the disk", () => sink.status().written === 1);
  const first = (await stat(path)).ino;
  // Only the disk after a power cut would show it; so the calls are watched.
  const flushed: number[] = [];
  const probe = await open(path);
  const handles = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const { sync } = handles;
  t.mock.method(handles, "sync", async function (this: FileHandle) {
    flushed.push((await this.stat()).ino);
    await sync.call(this);
  });
  sink.add(record(2));
  await sink.sync();
  assert.equal((await stat(`${path}.1`)).ino, first);
  const next = (await stat(path)).ino;
  assert.deepEqual(flushed.slice(0, 2), [first, next]);
  assert.ok(flushed.includes((await stat(folder)).ino), "a new file needs its name on the disk");
});
