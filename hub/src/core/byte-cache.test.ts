import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteCache } from "./byte-cache.js";
import { Pace } from "./pace.js";

test("the cache holds at most its bytes, and drops what was unused for longest", () => {
  const cache = new ByteCache(300);
  for (const key of ["a", "b", "c"]) cache.put(key, Buffer.alloc(100));
  cache.get("a");
  cache.put("d", Buffer.alloc(100));
  assert.equal(cache.bytes, 300);
  assert.equal(cache.get("b"), undefined);
  assert.ok(cache.get("a") && cache.get("c") && cache.get("d"));
});

test("a buffer larger than the cache is not kept, and one put again counts once", () => {
  const cache = new ByteCache(100);
  cache.put("big", Buffer.alloc(101));
  cache.put("a", Buffer.alloc(60));
  cache.put("a", Buffer.alloc(70));
  assert.equal(cache.get("big"), undefined);
  assert.equal(cache.bytes, 70);
});

test("a pace keeps the mean rate and lets an idle sender go at once", () => {
  const pace = new Pace(1000, 0);
  assert.equal(pace.take(500, 0), 0);
  assert.equal(pace.take(500, 0), 500);
  assert.equal(pace.take(100, 600), 400);
  assert.equal(pace.take(100, 10_000), 0);
  assert.equal(new Pace(0, 0).take(1e9, 0), 0);
});

test("only what is asked for a second time is worth keeping", () => {
  const cache = new ByteCache(100);
  assert.equal(cache.wants("a", 10), false);
  assert.equal(cache.wants("a", 10), true);
  cache.put("a", Buffer.alloc(10));
  assert.equal(cache.wants("a", 10), false, "it is here");
  assert.equal(cache.wants("big", 101), false);
  assert.equal(cache.wants("big", 101), false);
});
