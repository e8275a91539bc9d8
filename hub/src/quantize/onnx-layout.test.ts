import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { MemoryBlobs } from "@muster/shared/testing";
import { deltaHeader } from "../delta.js";
import { readOnnx, writeOnnx } from "./onnx-graph.js";
import { tensorPlaces } from "./onnx-layout.js";
import { tinyOnnx } from "./testing/tiny-onnx.js";

const weights = (seed: number) => Float32Array.from({ length: 200 }, (_, at) => Math.sin(at * seed));

function model(seed: number): Uint8Array {
  return tinyOnnx({
    input: [1, 200],
    output: [1, 200],
    initialisers: [
      { name: "w", dims: [2, 100], data: weights(seed) },
      { name: "listed", dims: [200], data: weights(2), asList: true },
      { name: "small", dims: [4], data: weights(3).subarray(0, 4) },
    ],
    nodes: [
      { op: "Constant", outputs: ["c"], value: { name: "", dims: [200], data: weights(seed + 1) } },
      { op: "Add", inputs: ["x", "c"], outputs: ["y"] },
    ],
  });
}

async function stored(store: MemoryBlobs, bytes: Uint8Array): Promise<string> {
  async function* once() {
    yield bytes;
  }
  return (await store.add(once(), 1e9)).sha256;
}

test("initialisers and constants with raw data are found where their bytes lie, others are not", async () => {
  const store = new MemoryBlobs();
  const bytes = model(1);
  const places = await tensorPlaces(store, await stored(store, bytes));
  const names = places.map(({ name, kind, length, width }) => [name, kind, length, width]).sort();
  assert.deepEqual(names, [
    ["c#0", "1 200", 800, 4],
    ["w", "1 2,100", 800, 4],
  ]);
  for (const { name, offset, length } of places) {
    const raw = Buffer.from(bytes).subarray(offset, offset + length);
    assert.deepEqual(raw, Buffer.from(weights(name === "w" ? 1 : 2).buffer), name);
  }
});

test("the same graph written by another program has the same tensors", async () => {
  const store = new MemoryBlobs();
  const [before, after] = [await stored(store, model(1)), await stored(store, writeOnnx(readOnnx(model(5))))];
  const header = await deltaHeader(store, before, after);
  assert.equal(header?.segments.length, 2);
});

test("what is no ONNX model, or a damaged one, has no places", async () => {
  const store = new MemoryBlobs();
  assert.deepEqual(await tensorPlaces(store, await stored(store, randomBytes(5000))), []);
  const whole = model(1);
  for (let cut = 1; cut < whole.length; cut += 97) {
    const digest = await stored(store, whole.subarray(0, cut));
    assert.ok((await tensorPlaces(store, digest)).every(({ offset, length }) => offset + length <= cut));
  }
  assert.equal(await deltaHeader(store, await stored(store, randomBytes(900)), await stored(store, whole)), undefined);
});
