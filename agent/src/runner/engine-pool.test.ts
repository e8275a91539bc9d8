import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { EnginePool } from "./engine-pool.js";
import type { EngineJob } from "./engine-protocol.js";
import { makeManifest, memoryLog, modelFile, picture, until } from "./testing.js";

/** A thread that answers pictures of width 1, dies of width 2, and refuses width 3. */
const moody = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from "node:worker_threads";
    parentPort.on("message", (message) => {
      if (message === "close") return parentPort.close();
      if ("spec" in message) return parentPort.postMessage({ kind: "ready", providerBytes: message.spec.aside ? 1 : 0 });
      const [{ width }] = message.jobs[0].inputs;
      if (width === 2) throw new Error("the thread died of it");
      const error = { code: "engine/failed", message: "refused", problems: [] };
      const result = { rows: [], times: { preMs: 0, runMs: 0, postMs: 0 } };
      parentPort.postMessage({ kind: "outcomes", outcomes: [width === 3 ? { error } : { result }], spent: [] });
    });
  `)}`,
);
const job = (width: number): EngineJob => ({
  kind: "inputs",
  inputs: [{ kind: "image", data: new Uint8Array(3), width, height: 1 }],
});

async function moodyPool(t: TestContext, size: number) {
  const log = memoryLog();
  const spec = { modelPath: modelFile, provider: "cpu", threads: 1, manifest: await makeManifest([await picture()]) };
  const pool = await EnginePool.open({ spec, size, log, script: moody });
  t.after(() => pool.close());
  return { pool, log };
}

test("a thread that dies fails its own input only and is replaced", async (t) => {
  const { pool, log } = await moodyPool(t, 1);
  const jobs = [1, 2, 1, 3, 1].map((width) => pool.run([job(width)]));
  const ended = await Promise.allSettled(jobs);
  assert.deepEqual(
    ended.map((one) => (one.status === "rejected" ? "thread lost" : Object.keys(one.value[0] ?? {})[0])),
    ["result", "thread lost", "result", "error", "result"],
  );
  await assert.rejects(jobs[1] ?? Promise.resolve(), { code: "engine/failed", message: /the thread died of it/ });
  assert.deepEqual(log.events, ["runner.engine.lost"]);
});

test("only the threads to begin with load aside; one that replaces a lost one is waited for", async (t) => {
  const spec = { modelPath: modelFile, provider: "cpu", threads: 1, manifest: await makeManifest([await picture()]) };
  const pool = await EnginePool.open({ spec, size: 1, aside: true, log: memoryLog(), script: moody });
  t.after(() => pool.close());
  // The thread says so by what it took.
  assert.equal(pool.providerBytes, 1);
  await assert.rejects(pool.run([job(2)]), { code: "engine/failed" });
  await pool.run([job(1)]);
  assert.equal(pool.providerBytes, 0);
});

test("a version that keeps ending its threads is left alone, and every input gets an error", async (t) => {
  const { pool } = await moodyPool(t, 2);
  const ended = await Promise.allSettled(Array.from({ length: 30 }, () => pool.run([job(2)])));
  assert.ok(ended.every(({ status }) => status === "rejected"));
  await assert.rejects(pool.run([job(1)]), { code: "engine/failed", message: /left alone/ });
});

test("a model that cannot be loaded says why, and leaves no thread", async () => {
  const manifest = await makeManifest([await picture()]);
  const spec = { modelPath: new URL(import.meta.url).pathname, provider: "cpu", threads: 1, manifest };
  await assert.rejects(EnginePool.open({ spec, size: 2, log: memoryLog() }), {
    code: "engine/failed",
    message: /ONNX Runtime cannot load/,
  });
});

test("a model that does not fit its manifest is refused with the tensor that differs", async () => {
  const tensors = {
    inputs: [{ name: "picture", dtype: "float32" as const, shape: ["n", 3, 48, 192] }],
    outputs: [{ name: "softmax_0.tmp_0", dtype: "float32" as const, shape: ["n", 2] }],
  };
  const manifest = { ...(await makeManifest([await picture()])), tensors };
  const spec = { modelPath: modelFile, provider: "cpu", threads: 1, manifest };
  await assert.rejects(EnginePool.open({ spec, size: 1, log: memoryLog() }), {
    code: "engine/failed",
    message: /tensors\.inputs\[0\]\.name: the model file has no 'picture'/,
  });
});

test("a pool begins with one thread, grows when it is asked to, and gives back what is of no use", async (t) => {
  const spec = { modelPath: modelFile, provider: "cpu", threads: 1, manifest: await makeManifest([await picture()]) };
  const sizes = { size: 2, atFirst: 1, unusedMs: 50 };
  let [most, watched] = [0, undefined as EnginePool | undefined];
  const onFree = () => {
    most = Math.max(most, watched?.free ?? 0);
  };
  const pool = await EnginePool.open({ spec, ...sizes, log: memoryLog(), script: moody, onFree });
  t.after(() => pool.close());
  watched = pool;
  assert.equal(pool.threads, 1);
  pool.grow();
  pool.grow();
  assert.equal(pool.threads, 2);
  // It may be given back before anybody looks.
  await until("the second was there", () => most === 2);
  pool.grow();
  assert.equal(pool.threads, 2);
  await until("one is given back", () => pool.threads === 1);
  assert.equal((await pool.run([job(1)])).length, 1);
  pool.grow();
  assert.equal(pool.threads, 2);
});
