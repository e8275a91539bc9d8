import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Sink, SinkRecord } from "../runner/sink.js";
import { until } from "../runner/testing.js";

/** A sink, and who gets the answers. */
export interface SinkUnderTest {
  /** Starts the sink, also again on the same place. */
  start(): Promise<Sink> | Sink;
  /** Until it is called, the receiver is away; absent where it is always there. */
  appear?(): Promise<void>;
  /** What the receiver has, in the order of its arrival. */
  received(): Promise<readonly SinkRecord[]> | readonly SinkRecord[];
}

/** An answer, told from others by its number. */
export function recordOf(at: number): SinkRecord {
  const record = { id: `id-${at}`, atMs: at, source: "inbox", input: `${at}.jpg`, model: "m", version: "1.0.0" };
  return { ...record, label: "good", confidence: 0.5 };
}

/** What every sink does. */
export function sinkContract(name: string, open: (t: TestContext) => Promise<SinkUnderTest>): void {
  test(`${name}: answers reach the receiver whole and in order, and are counted`, async (t) => {
    const { start, appear, received } = await open(t);
    await appear?.();
    const sink = await start();
    t.after(() => sink.close());
    assert.deepEqual([sink.full, sink.status().written, sink.status().dropped], [false, 0, 0]);
    const records = Array.from({ length: 130 }, (_, at) => recordOf(at));
    for (const record of records) sink.add(record);
    await sink.sync();
    await until("all have arrived", () => sink.status().written === records.length);
    assert.deepEqual(await received(), records);
    const { state, waiting, failed, lastError } = sink.status();
    assert.deepEqual([state, waiting, failed, lastError], ["running", 0, 0, undefined]);
    assert.doesNotMatch(sink.status().target, /secret/);
  });

  test(`${name}: what was added before it closed arrives, if need be after the next start`, async (t) => {
    const { start, appear, received } = await open(t);
    const first = await start();
    for (let at = 0; at < 3; at += 1) first.add(recordOf(at));
    await first.close();
    await appear?.();
    const second = await start();
    t.after(() => second.close());
    second.add(recordOf(3));
    await until("all have arrived", async () => (await received()).length === 4);
    assert.deepEqual(await received(), [0, 1, 2, 3].map(recordOf));
  });

  test(`${name}: whoever asks for safety meanwhile gets it, and nothing is written twice`, async (t) => {
    const { start, appear, received } = await open(t);
    await appear?.();
    const sink = await start();
    t.after(() => sink.close());
    const adding = Array.from({ length: 20 }, async (_, at) => {
      sink.add(recordOf(at));
      await sink.sync();
    });
    await Promise.all(adding);
    await until("all have arrived", async () => (await received()).length >= 20);
    assert.deepEqual(
      (await received()).map(({ atMs }) => atMs),
      Array.from({ length: 20 }, (_, at) => at),
    );
  });
}
