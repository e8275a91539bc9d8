import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "@muster/shared/node";
import { Intake } from "../runner/intake.js";
import type { Source } from "../runner/source.js";
import { memoryLog, until } from "../runner/testing.js";
import { MemoryAnswerer, MemorySink } from "./memory-feeds.js";

/** A source, and what it reads from. */
export interface SourceUnderTest {
  start(intake: Intake): Promise<Source> | Source;
  /** Until it is called, what the source reads from is not there. */
  appear(): Promise<void>;
  /** Gives it an input of this text; absent where inputs come by themselves. */
  put?(text: string): Promise<void>;
}

/** What every source does. */
export function sourceContract(name: string, open: (t: TestContext) => Promise<SourceUnderTest>): void {
  test(`${name}: every input is answered once, in order, and the answer goes to all sinks`, async (t) => {
    const { put, records, sinks, source } = await running(t, open);
    for (const text of ["a", "b", "c"]) {
      const before = records.length;
      await put?.(text);
      await until(`${text} is answered`, () => records.length > before);
    }
    if (put !== undefined) {
      assert.deepEqual(
        records.map(({ text }) => text),
        ["a", "b", "c"],
      );
    }
    await until("the last one is counted", () => source.status().taken >= 3);
    await source.close();
    const [record] = records;
    assert.deepEqual([record?.model, record?.version, record?.source], ["m", "1.0.0", "the target"]);
    assert.ok((record?.input ?? "") !== "" && new Set(records.map(({ id }) => id)).size === records.length);
    assert.deepEqual(sinks[1]?.records, records);
    assert.deepEqual([source.status().taken, source.status().failed], [records.length, 0]);
  });

  test(`${name}: nothing is taken while no version serves or a sink is full; it says so and goes on`, async (t) => {
    const { put, records, answerer, sinks, source } = await running(t, open);
    answerer.now = "not-serving";
    await put?.("a");
    await until("it waits", () => /no version of m serves/.test(source.status().reason ?? ""));
    const [, second] = sinks;
    if (second !== undefined) second.full = true;
    answerer.now = "open";
    await until("it waits for the sink", () => /memory here takes no more/.test(source.status().reason ?? ""));
    assert.equal(source.status().state, "waiting");
    const before = records.length;
    if (second !== undefined) second.full = false;
    await until("it goes on", () => records.length > before && source.status().state === "running");
    assert.equal(source.status().failed, 0);
  });

  test(`${name}: it ends at once while nothing serves`, async (t) => {
    const { put, answerer, source } = await running(t, open);
    answerer.now = "not-serving";
    await put?.("a");
    await until("it waits", () => source.status().state === "waiting");
    await source.close();
  });

  test(`${name}: what it reads from may come later; it says what is wrong until then`, async (t) => {
    const { put, appear, records, source } = await started(t, open);
    await until("it says so", () => source.status().state === "failed" && source.status().lastError !== undefined);
    await appear();
    await until("it runs", () => source.status().state === "running");
    await put?.("a");
    await until("an input is answered", () => records.length > 0);
  });
}

/** What sources do whose inputs may be at fault. */
export function faultyInputContract(name: string, open: (t: TestContext) => Promise<SourceUnderTest>): void {
  test(`${name}: an input at fault is counted and told, and the next one is answered`, async (t) => {
    const { put, records, source, log } = await running(t, open);
    await put?.("bad");
    await until("it is counted", () => source.status().failed === 1);
    assert.match(source.status().lastError ?? "", /is no picture/);
    assert.ok(log.events.includes("runner.source.failed"));
    await put?.("good");
    await until("the next one is answered", () => records.length === 1);
    assert.deepEqual([source.status().taken, source.status().state], [2, "running"]);
  });
}

/** A source that runs, with memory on all sides. */
export async function running(t: TestContext, open: (t: TestContext) => Promise<SourceUnderTest>) {
  const all = await started(t, open, true);
  await until("the source runs", () => all.source.status().state === "running");
  return all;
}

async function started(t: TestContext, open: (t: TestContext) => Promise<SourceUnderTest>, appeared = false) {
  const { start, put, appear } = await open(t);
  if (appeared) await appear();
  const answerer = new MemoryAnswerer();
  const sinks = [new MemorySink(), new MemorySink()] as const;
  const log = memoryLog();
  const about = { type: "tested", target: "the target", model: "m" };
  const intake = new Intake({ about, answerer, sinks, clock: systemClock, log });
  const source = await start(intake);
  t.after(() => source.close());
  return { put, appear, answerer, sinks, records: sinks[0].records, log, source };
}
