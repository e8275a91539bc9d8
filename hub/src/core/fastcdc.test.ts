import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { chunkBounds, firstChunkLength } from "./fastcdc.js";

function noise(length: number, seed: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at * 32 < length; at += 1) parts.push(createHash("sha256").update(`${seed}/${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

function chunks(bytes: Uint8Array): string[] {
  const digests: string[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const length = firstChunkLength(rest);
    digests.push(createHash("sha256").update(rest.subarray(0, length)).digest("hex"));
    rest = rest.subarray(length);
  }
  return digests;
}

test("chunks stay within their bounds and near their average", () => {
  const bytes = noise(8_000_000, 1);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; at += lengths.at(-1) ?? 0) lengths.push(firstChunkLength(bytes.subarray(at)));
  assert.ok(lengths.slice(0, -1).every((length) => length >= chunkBounds.min && length <= chunkBounds.max));
  const mean = bytes.length / lengths.length;
  assert.ok(mean > 0.7 * chunkBounds.average && mean < 1.5 * chunkBounds.average, `mean ${mean}`);
});

test("an insertion near the start changes few chunks", () => {
  const bytes = noise(8_000_000, 2);
  const edited = Buffer.concat([bytes.subarray(0, 1000), Buffer.alloc(100, 7), bytes.subarray(1000)]);
  const before = new Set(chunks(bytes));
  const fresh = chunks(edited).filter((digest) => !before.has(digest));
  assert.ok(fresh.length <= 3, `${fresh.length} of ${before.size} chunks changed`);
});

test("short inputs are one chunk, equal bytes are cut at the maximum", () => {
  assert.equal(firstChunkLength(noise(1000, 3)), 1000);
  assert.equal(firstChunkLength(Buffer.alloc(1_000_000)), chunkBounds.max);
  assert.equal(firstChunkLength(Buffer.alloc(0)), 0);
});
