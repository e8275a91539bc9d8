import assert from "node:assert/strict";
import { test } from "node:test";
import { settledFiles } from "./folder-scan.js";

const file = (name: string, mtimeMs: number, sizeBytes = 10) => ({ name, mtimeMs, sizeBytes });
const time = { nowMs: 10_000, pollMs: 500 };
const names = (files: readonly { name: string }[]) => files.map(({ name }) => name);

test("a file is settled when it is older than a poll, or unchanged since the scan before", () => {
  const fresh = file("fresh.jpg", 9_900);
  assert.deepEqual(names(settledFiles([fresh, file("old.jpg", 9_000)], new Map(), time)), ["old.jpg"]);
  assert.deepEqual(names(settledFiles([fresh], new Map([["fresh.jpg", fresh]]), time)), ["fresh.jpg"]);
  const smaller = new Map([["fresh.jpg", file("fresh.jpg", 9_900, 5)]]);
  assert.deepEqual(settledFiles([fresh], smaller, time), []);
});

test("a file from the future is settled once it is unchanged", () => {
  const future = file("future.jpg", 99_000);
  assert.deepEqual(settledFiles([future], new Map(), time), []);
  assert.deepEqual(names(settledFiles([future], new Map([["future.jpg", future]]), time)), ["future.jpg"]);
});

test("the oldest comes first, by name when two are as old", () => {
  const found = [file("b.jpg", 200), file("c.jpg", 100), file("a.jpg", 200)];
  assert.deepEqual(names(settledFiles(found, new Map(), time)), ["c.jpg", "a.jpg", "b.jpg"]);
});
