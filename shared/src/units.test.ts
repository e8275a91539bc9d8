import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatDuration, parseDuration } from "./units.js";

test("bytes are told in the unit a person would take", () => {
  const told = [0, 1, 999, 1000, 1400, 99_949, 123_456, 999_499, 999_500, 1.5e6, 2e9, 3e12, 4e15].map(formatBytes);
  assert.deepEqual(told, [
    "0 B",
    "1 B",
    "999 B",
    "1.0 KB",
    "1.4 KB",
    "99.9 KB",
    "123 KB",
    "999 KB",
    "1.0 MB",
    "1.5 MB",
    "2.0 GB",
    "3.0 TB",
    "4000 TB",
  ]);
});

test("no number of bytes is told with four digits before the point, below a thousand TB", () => {
  for (let bytes = 1; bytes < 9e14; bytes = Math.ceil(bytes * 1.0137)) {
    assert.match(formatBytes(bytes), /^\d{1,3}(\.\d)? [KMGT]?B$/, String(bytes));
  }
});

test("durations are told in the unit a person would take", () => {
  const told = [0, 0.123, 2.34, 9.96, 840, 999.6, 12_300, 59_949, 240_000, 10_800_000, 90_000_000, 172_800_000];
  assert.deepEqual(told.map(formatDuration), [
    "0.00 ms",
    "0.12 ms",
    "2.3 ms",
    "10.0 ms",
    "840 ms",
    "1000 ms",
    "12.3 s",
    "59.9 s",
    "4 min",
    "3 h",
    "25 h",
    "2 d",
  ]);
});

test("durations are read in every unit", () => {
  assert.deepEqual(
    ["500ms", "30s", "1.5s", "10min", "10m", "2h", "7d", " 1s "].map(parseDuration),
    [500, 30_000, 1500, 600_000, 600_000, 7_200_000, 604_800_000, 1000],
  );
});

test("what is no duration is undefined, not a guess", () => {
  for (const bad of ["", "5", "s", "-5s", "5 s", "1h30m", "5S", "five s", "1e3s", "Infinitys"]) {
    assert.equal(parseDuration(bad), undefined, bad);
  }
});
