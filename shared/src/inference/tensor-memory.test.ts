import assert from "node:assert/strict";
import { test } from "node:test";
import { KeptMemory } from "./tensor-memory.js";

test("memory of a batch is used again by the next, and never twice in one", () => {
  const memory = new KeptMemory();
  memory.begin();
  const first = [memory.room("float32", 6), memory.room("float32", 6)];
  assert.notEqual(first[0], first[1]);
  memory.begin();
  const second = [memory.room("float32", 6), memory.room("float32", 6), memory.room("float32", 6)];
  assert.equal(new Set(second).size, 3);
  assert.equal(new Set([...first, ...second]).size, 3);
});

test("memory of another type or length is no room, and is let go", () => {
  const memory = new KeptMemory();
  memory.begin();
  const floats = memory.room("float32", 4);
  memory.begin();
  assert.deepEqual([memory.room("uint8", 4).constructor, memory.room("float32", 5).length], [Uint8Array, 5]);
  memory.begin();
  assert.notEqual(memory.room("float32", 4), floats);
});
