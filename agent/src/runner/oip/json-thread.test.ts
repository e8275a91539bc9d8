import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MusterError } from "@muster/shared";
import type { NamedTensor } from "@muster/shared/inference";
import { Ticket } from "../ticket.js";
import { inferResponse } from "./infer-response.js";
import { JsonThread } from "./json-thread.js";

const length = 400_000;
const model = {
  tensors: {
    inputs: [{ name: "x", dtype: "float32" as const, shape: ["n", length] }],
    outputs: [{ name: "y", dtype: "float32" as const, shape: ["n", length] }],
  },
};
const numbers = Array.from({ length }, (_, at) => at / 7);
const requestOf = (data: readonly unknown[]) =>
  Buffer.from(JSON.stringify({ id: "a", inputs: [{ name: "x", datatype: "FP32", shape: [1, length], data }] }));

function thread(t: TestContext): JsonThread {
  const json = new JsonThread();
  t.after(() => json.close());
  return json;
}

/** How often others had their turn while the work went on. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let [turns, over] = [0, false];
  const end = () => {
    over = true;
  };
  work.then(end, end);
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  return turns;
}

test("a large request is read as a small one is, while others have their turns", async (t) => {
  const json = thread(t);
  const bytes = requestOf(numbers);
  assert.ok(JsonThread.takes(bytes.length) && !JsonThread.takes(1000));
  await json.read(bytes, model, false, new Ticket());
  const read = json.read(bytes, model, false, new Ticket());
  const turns = await turnsDuring(read);
  const request = await read;
  assert.equal(request?.id, "a");
  assert.deepEqual(request?.inputs[0]?.data, Float32Array.from(numbers));
  assert.deepEqual(request?.outputs, [{ name: "y", binary: false }]);
  assert.ok(turns > 100, `${turns} turns`);
});

test("what is wrong with a large request is told as of a small one", async (t) => {
  const json = thread(t);
  const cases: [Buffer, string, RegExp][] = [
    [requestOf(["1", ...numbers.slice(1)]), "tensor/invalid", /inputs\[0\]\.data/],
    [requestOf(numbers.slice(1)), "tensor/invalid", /has 399999 numbers, expected 400000/],
    [Buffer.concat([requestOf(numbers), Buffer.from("}")]), "request/invalid", /is no JSON/],
    [Buffer.from(JSON.stringify({ rows: numbers })), "request/invalid", /inputs/],
  ];
  for (const [bytes, code, message] of cases) {
    await assert.rejects(json.read(bytes, model, false, new Ticket()), (error: { code: string; message: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(await json.read(Buffer.from(JSON.stringify({ rows: numbers })), model, true, new Ticket()), undefined);
});

test("a large answer is the same text, and outputs that were asked for as bytes come as they are", async (t) => {
  const json = thread(t);
  const tensors = (): NamedTensor[] => [
    { name: "y", dtype: "float32", shape: [1, length], data: Float32Array.from(numbers) },
    { name: "z", dtype: "int64", shape: [2], data: BigInt64Array.from([1n, -2n]) },
  ];
  const of = { model: "m", version: "1.0.0" };
  const outputs = [
    { name: "y", binary: false },
    { name: "z", binary: true },
  ];
  const request = { id: undefined, outputs };
  const expected = inferResponse(of, request, tensors());
  const written = await json.write(of, request, tensors(), new Ticket());
  assert.ok(typeof written.json !== "string", "by the thread");
  assert.equal(Buffer.from(written.json).toString(), expected.json);
  assert.deepEqual(written.binary, expected.binary);
  const small = await json.write(of, { id: undefined, outputs: outputs.slice(1) }, tensors(), new Ticket());
  assert.equal(typeof small.json, "string");
});

test("who waits when the thread ends is told, and the next has another one", async (t) => {
  const json = thread(t);
  const read = json.read(requestOf(numbers), model, false, new Ticket());
  const refused = assert.rejects(read, { code: "internal", message: /thread that reads JSON ended/ });
  await json.close();
  await refused;
  assert.equal((await json.read(requestOf(numbers), model, false, new Ticket()))?.id, "a");
});

test("one is read after the other, and what nobody waits for any more is not begun", async (t) => {
  const json = thread(t);
  const bytes = requestOf(numbers);
  const first = json.read(bytes, model, false, new Ticket());
  const gone = new Ticket();
  // Its bytes are copied when its turn comes: what waits takes no memory of its own.
  let looked = 0;
  const watched = new Proxy(bytes, {
    get: (target, key) => {
      looked += 1;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const second = json.read(watched, model, false, gone);
  const third = json.read(bytes, model, false, new Ticket());
  const refused = assert.rejects(second, { code: "runner/client-gone" });
  gone.end(new MusterError("runner/client-gone", "gone"));
  await refused;
  await Promise.all([first, third]);
  assert.equal(looked, 0);
  await assert.rejects(json.read(bytes, model, false, gone), { code: "runner/client-gone" });
});
