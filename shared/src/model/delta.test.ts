import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { seededRandom } from "../testing/seeded-random.js";
import { type DeltaHeader, deltaBlockBytes, deltaRuns, differences, fromDifferences } from "./delta.js";

test("differences of any bytes, in every width, give the block back", () => {
  for (const width of [1, 2, 4] as const) {
    const [target, base] = [randomBytes(4096), randomBytes(4096)];
    assert.deepEqual(fromDifferences(differences(target, base, width), base, width), target, `width ${width}`);
    const extremes = Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f]);
    const zero = Buffer.alloc(extremes.length);
    assert.deepEqual(fromDifferences(differences(extremes, zero, width), zero, width), extremes);
    assert.deepEqual(fromDifferences(differences(zero, extremes, width), extremes, width), zero);
  }
});

test("weights that moved a little are nearly nothing after deflate", () => {
  const random = seededRandom(7);
  const before = Float32Array.from({ length: 50_000 }, () => random() * 2 - 1);
  const after = before.map((weight) => weight * (1 + (random() - 0.5) * 1e-4));
  const bytes = (numbers: Float32Array) => Buffer.from(numbers.buffer);
  const share = (planes: Buffer) => deflateRawSync(planes).length / planes.length;
  assert.ok(share(differences(bytes(after), bytes(before), 4)) < 0.45);
  assert.ok(share(bytes(after)) > 0.85, "deflate alone does nothing for them");
  const int8 = Buffer.from(Int8Array.from(before, (weight) => Math.round(weight * 127)).buffer);
  const moved = Buffer.from(int8.map((value) => (random() < 0.03 ? value + 1 : value)));
  assert.ok(share(differences(moved, int8, 1)) < 0.1);
});

test("runs cover the target from end to end, segments in blocks", () => {
  const header: DeltaHeader = {
    targetBytes: 1_000_000,
    baseBytes: 900_000,
    segments: [
      [100, 600_000, 50, 4],
      [700_000, 8, 0, 2],
    ],
  };
  const runs = [...deltaRuns(header)];
  let at = 0;
  for (const { offset, length } of runs) {
    assert.equal(offset, at);
    assert.ok(length > 0 && length <= deltaBlockBytes);
    at += length;
  }
  assert.equal(at, 1_000_000);
  assert.deepEqual(runs[2]?.base, { offset: 50 + deltaBlockBytes, width: 4 });
});

test("segments that overlap, leave a file or cut a number are refused", () => {
  const refused = (segments: DeltaHeader["segments"]) =>
    assert.throws(() => [...deltaRuns({ targetBytes: 100, baseBytes: 50, segments })], {
      code: "artifact/delta-invalid",
    });
  refused([
    [0, 10, 0, 1],
    [5, 10, 0, 1],
  ]);
  refused([[95, 10, 0, 1]]);
  refused([[0, 10, 45, 1]]);
  refused([[0, 10, 0, 4]]);
});
