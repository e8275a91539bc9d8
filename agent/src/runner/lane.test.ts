import assert from "node:assert/strict";
import { test } from "node:test";
import { MusterError, type Tensors } from "@muster/shared";
import type { BatchRule } from "../core/line.js";
import type { EngineJob, EngineOutcome, EngineResult } from "./engine-protocol.js";
import { Lane } from "./lane.js";
import { Ticket } from "./ticket.js";

const tensors: Tensors = {
  inputs: [{ name: "x", dtype: "float32", shape: ["n", 1] }],
  outputs: [{ name: "y", dtype: "float32", shape: ["n", 1] }],
};

/** Engine threads that are moved by hand. */
class HandPool {
  free: number;
  readonly batches: { readonly jobs: readonly EngineJob[]; readonly end: () => void }[] = [];
  readonly #lane: () => Lane;

  constructor(threads: number, lane: () => Lane) {
    this.free = threads;
    this.#lane = lane;
  }

  run(jobs: readonly EngineJob[]): Promise<readonly EngineOutcome[]> {
    this.free -= 1;
    return new Promise((resolve) => {
      const end = () => {
        this.free += 1;
        resolve(jobs.map((job) => ({ result: resultOf(numberIn(job)) })));
        this.#lane().look();
      };
      this.batches.push({ jobs, end });
    });
  }

  /** What each batch held, in the order in which they began. */
  values(): number[][] {
    return this.batches.map(({ jobs }) => jobs.map(numberIn));
  }
}

function resultOf(value: number): EngineResult {
  return { rows: [], times: { preMs: value, runMs: 0, postMs: 0 } };
}

function numberIn(job: EngineJob): number {
  return job.kind === "tensors" ? Number(job.inputs[0]?.data[0]) : -1;
}

function jobOf(value: number): EngineJob {
  return { kind: "tensors", inputs: [{ name: "x", dtype: "float32", shape: [1, 1], data: Float32Array.of(value) }] };
}

function laneOf(threads: number, rule: BatchRule = { maxRows: 1, maxDelayMs: 0 }, spec = tensors, decodedAhead = 2) {
  const pool: HandPool = new HandPool(threads, () => lane);
  const lane: Lane = new Lane({ pool, tensors: spec, rule, decodedAhead });
  return { lane, pool };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const gone = new MusterError("runner/client-gone", "gone");

test("what waits begins by its urgency when a thread is free, and each gets its own answer", async () => {
  const { lane, pool } = laneOf(1);
  const answers = (["normal", "low", "normal", "high"] as const).map((priority, at) =>
    lane.run(jobOf(at), new Ticket({ priority })),
  );
  for (let at = 0; at < 4; at += 1) {
    assert.equal(lane.running, 1);
    pool.batches[at]?.end();
    await settled();
  }
  assert.deepEqual(pool.values(), [[0], [3], [2], [1]]);
  assert.deepEqual(
    (await Promise.all(answers)).map(({ times }) => times.preMs),
    [0, 1, 2, 3],
  );
  assert.equal(lane.running, 0);
});

test("inputs that came while all threads were busy share a run where the batch dimension is free", async () => {
  const rule = { maxRows: 3, maxDelayMs: 0 };
  const free = laneOf(1, rule);
  for (let at = 0; at < 6; at += 1) void free.lane.run(jobOf(at), new Ticket());
  free.pool.batches[0]?.end();
  free.pool.batches[1]?.end();
  assert.deepEqual(free.pool.values(), [[0], [1, 2, 3], [4, 5]]);
  const fixed = laneOf(1, rule, { ...tensors, outputs: [{ name: "y", dtype: "float32", shape: [1] }] });
  for (let at = 0; at < 3; at += 1) void fixed.lane.run(jobOf(at), new Ticket());
  fixed.pool.batches[0]?.end();
  assert.deepEqual(fixed.pool.values(), [[0], [1]]);
});

test("how long bodies took that a thread decodes says nothing of whether inputs should share runs", async (t) => {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const { lane, pool } = laneOf(1, { maxRows: 4, maxDelayMs: 0 });
  const end = async (tookMs: number) => {
    nowMs += tookMs;
    pool.batches.at(-1)?.end();
    await settled();
  };
  for (let round = 0; round < 10; round += 1) {
    void lane.undecoded(new Uint8Array(1), "text/csv", new Ticket());
    for (let at = 0; at < 4; at += 1) void lane.run(jobOf(at), new Ticket());
    await end(1);
    await end(40);
  }
  assert.deepEqual(
    pool.batches.map(({ jobs }) => jobs.length),
    Array.from({ length: 10 }, () => [1, 4]).flat(),
  );
});

test("an input waits for others as long as it may although a thread is free", async () => {
  const { lane, pool } = laneOf(1, { maxRows: 2, maxDelayMs: 60_000 });
  const first = lane.run(jobOf(1), new Ticket());
  assert.deepEqual(pool.values(), []);
  void lane.run(jobOf(2), new Ticket());
  assert.deepEqual(pool.values(), [[1, 2]]);
  pool.batches[0]?.end();
  await first;
  const short = laneOf(1, { maxRows: 2, maxDelayMs: 1 });
  const alone = short.lane.run(jobOf(3), new Ticket());
  while (short.pool.batches.length === 0) await settled();
  short.pool.batches[0]?.end();
  await alone;
  assert.deepEqual(short.pool.values(), [[3]]);
});

test("who went away is not decoded and not run any more", async () => {
  const { lane, pool } = laneOf(1);
  void lane.run(jobOf(0), new Ticket());
  const ticket = new Ticket();
  const waiting = lane.run(jobOf(1), ticket);
  ticket.end(gone);
  await assert.rejects(waiting, { code: "runner/client-gone" });
  await assert.rejects(lane.run(jobOf(2), ticket), { code: "runner/client-gone" });
  let decoded = 0;
  const decode = async () => {
    decoded += 1;
    return { inputs: [], list: false };
  };
  await assert.rejects(lane.body(decode, ticket), { code: "runner/client-gone" });
  pool.batches[0]?.end();
  assert.deepEqual([pool.values(), decoded], [[[0]], 0]);
});

test("no more is decoded ahead than may wait decoded, and places are given back when decoding fails", async () => {
  const { lane, pool } = laneOf(1, undefined, undefined, 2);
  void lane.run(jobOf(0), new Ticket());
  let decoded = 0;
  const body = (fails = false) =>
    lane.body(async () => {
      decoded += 1;
      if (fails) throw new MusterError("image/invalid", "no picture");
      return { inputs: [], list: false };
    }, new Ticket());
  const failing = body(true);
  await assert.rejects(failing, { code: "image/invalid" });
  const bodies = [body(), body(), body()];
  await settled();
  assert.equal(decoded, 3, "one failed, two wait decoded, the last is not decoded yet");
  pool.batches[0]?.end();
  await settled();
  assert.equal(decoded, 4);
  pool.batches[1]?.end();
  pool.batches[2]?.end();
  pool.batches[3]?.end();
  await Promise.all(bodies);
});

test("a body that a thread decodes is copied when its turn comes, and not while it waits", async () => {
  const { lane, pool } = laneOf(1);
  const first = lane.run(jobOf(1), new Ticket());
  const body = Uint8Array.of(1, 2, 3);
  const second = lane.undecoded(body, "text/csv", new Ticket());
  body[0] = 9;
  pool.batches[0]?.end();
  const job = pool.batches[1]?.jobs[0];
  assert.ok(job?.kind === "body");
  assert.deepEqual([...job.bytes], [9, 2, 3], "no copy from when it came");
  assert.notEqual(job.bytes.buffer, body.buffer);
  pool.batches[1]?.end();
  await Promise.all([first, second]);
});

test("the last and least urgent is the one to give way, whether it waits to be decoded or to be run", async () => {
  const { lane } = laneOf(1, undefined, undefined, 1);
  void lane.run(jobOf(0), new Ticket());
  const run = new Ticket({ priority: "low" });
  const running = lane.run(jobOf(1), run);
  assert.equal(lane.weakerThan("low"), undefined);
  assert.equal(lane.weakerThan("normal"), run);
  const decode = async () => ({ inputs: [], list: false });
  void lane.body(decode, new Ticket());
  const last = new Ticket({ priority: "low" });
  const waiting = lane.body(decode, last);
  await settled();
  assert.equal(lane.weakerThan("normal"), last);
  last.end(gone);
  run.end(gone);
  await assert.rejects(waiting, { code: "runner/client-gone" });
  await assert.rejects(running, { code: "runner/client-gone" });
  assert.equal(lane.weakerThan("normal"), undefined);
});

test("who is more urgent takes the place of an input that is being decoded, when nothing else waits", async () => {
  const { lane } = laneOf(1);
  let decoded: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    decoded = resolve;
  });
  const ticket = new Ticket({ priority: "low" });
  const body = lane.body(async () => {
    await held;
    return { inputs: [], list: false };
  }, ticket);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(lane.weakerThan("low"), undefined);
  assert.equal(lane.weakerThan("high"), ticket);
  ticket.end(new MusterError("runner/overloaded", "more urgent inputs came"));
  assert.equal(lane.weakerThan("high"), undefined, "it gives way once");
  decoded();
  await assert.rejects(body, { code: "runner/overloaded" });
});

test("a ticket ends once, by its time or by whoever ends it first", async () => {
  const late = new Ticket({ timeoutMs: 1 });
  await assert.rejects(late.first(new Promise(() => undefined)), { code: "runner/deadline", message: /within 1 ms/ });
  late.end(gone);
  assert.equal(late.why?.code, "runner/deadline");
  const early = new Ticket({ timeoutMs: 60_000 });
  assert.equal(await early.first(Promise.resolve(7)), 7);
  early.close();
});
