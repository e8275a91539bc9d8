import assert from "node:assert/strict";
import { test } from "node:test";
import { Buffers } from "./buffers.js";

test("memory that was given back is used again for the same length", () => {
  const buffers = new Buffers();
  const first = buffers.take(100);
  assert.equal(first.byteLength, 100);
  buffers.give(first);
  assert.notEqual(buffers.take(99), first);
  assert.equal(buffers.take(100), first);
  assert.notEqual(buffers.take(100), first, "each piece has one user");
});

test("what is kept is bounded in pieces of one length and in bytes, and old lengths make way", () => {
  const buffers = new Buffers();
  const many = Array.from({ length: 20 }, () => new ArrayBuffer(10));
  for (const one of many) buffers.give(one);
  const again = many.map(() => buffers.take(10)).filter((one) => many.includes(one));
  assert.equal(again.length, 8);
  const large = [new ArrayBuffer(9_000_000), new ArrayBuffer(9_000_001)] as const;
  for (const one of large) buffers.give(one);
  assert.equal(buffers.take(9_000_000), large[0]);
  assert.notEqual(buffers.take(9_000_001), large[1]);
  for (let length = 1; length <= 20; length += 1) buffers.give(new ArrayBuffer(length));
  const last = new ArrayBuffer(21);
  buffers.give(last);
  assert.equal(buffers.take(21), last);
});
