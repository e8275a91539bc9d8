import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@muster/shared/testing";
import { ServingTurns } from "./serving-turns.js";

/** Devices that ask again and again, each so many bytes at a time, while the clock is moved on in steps. */
async function served(bytesPerSecond: number, wants: Readonly<Record<string, number>>, forMs: number, stepMs: number) {
  const clock = new FakeClock();
  const turns = new ServingTurns(clock, 2, bytesPerSecond);
  const sent = new Map<string, number>();
  let over = false;
  const serve = async (device: string, bytes: number) => {
    for (;;) {
      await turns.take(device, bytes);
      if (over) return turns.done(device);
      sent.set(device, (sent.get(device) ?? 0) + bytes);
      turns.done(device);
    }
  };
  const all = Object.entries(wants).map(([device, bytes]) => serve(device, bytes));
  const settle = async () => {
    for (let round = 0; round < 20; round += 1) await new Promise(setImmediate);
  };
  for (let atMs = 0; atMs < forMs; atMs += stepMs) {
    await settle();
    clock.advance(stepMs);
  }
  over = true;
  for (let round = 0; round < Object.keys(wants).length + 2; round += 1) {
    clock.advance(60_000);
    await settle();
  }
  await Promise.all(all);
  return sent;
}

test("the limit of all devices together is kept, however many there are and however late timers come", async () => {
  for (const stepMs of [1, 7, 30]) {
    const wants = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`d${at}`, 1000]));
    const sent = [...(await served(100_000, wants, 2100, stepMs)).values()].reduce((sum, bytes) => sum + bytes, 0);
    // Two turns and 50 ms are what may go at once.
    assert.ok(
      sent <= 210_000 + 5000 + 2000 && sent >= 210_000 - 8000,
      `${sent} bytes in 2.1 s, clock steps of ${stepMs} ms`,
    );
  }
});

test("under a limit a greedy device gets no more than its share", async () => {
  const sent = await served(100_000, { greedy: 10_000, a: 1000, b: 500 }, 3000, 5);
  const shares = [...sent.values()];
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 20_000, JSON.stringify([...sent]));
});

test("without a limit and without a crowd nobody waits", async () => {
  const turns = new ServingTurns(new FakeClock(), 2, 0);
  await turns.take("a", 1_000_000_000);
  await turns.take("b", 1_000_000_000);
  assert.equal(turns.crowded, false);
  const third = turns.take("c", 1);
  assert.equal(turns.crowded, true);
  turns.done("a");
  await third;
});
