import assert from "node:assert/strict";
import { test } from "node:test";
import { joinReads } from "./reads.js";

const piece = (blob: string, offset: number, length: number) => ({ blob, offset, length });

test("pieces that follow each other in one blob are read together, up to a number", () => {
  const pieces = [piece("a", 0, 10), piece("a", 10, 5), piece("a", 15, 1), piece("a", 16, 4)];
  assert.deepEqual(joinReads(pieces, 3), [pieces.slice(0, 3), pieces.slice(3)]);
});

test("a gap, another blob, or a step back begins a new read", () => {
  const pieces = [piece("a", 0, 10), piece("a", 11, 5), piece("b", 16, 4), piece("b", 16, 4)];
  assert.deepEqual(
    joinReads(pieces, 8),
    pieces.map((one) => [one]),
  );
  assert.deepEqual(joinReads([], 8), []);
});
