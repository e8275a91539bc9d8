import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../node/system-clock.js";
import { FakeClock } from "./fake-clock.js";

test("time stands still until it is moved, and wakes sleepers in the order of their times", async () => {
  const clock = new FakeClock(1000);
  const woken: string[] = [];
  const sleeps = [
    clock.sleep(300).then(() => woken.push("late")),
    clock.sleep(100).then(() => woken.push("early")),
    clock.sleep(900).then(() => woken.push("never")),
  ];
  clock.advance(99);
  await Promise.resolve();
  assert.deepEqual([clock.now(), woken], [1099, []]);
  clock.advance(500);
  await Promise.all(sleeps.slice(0, 2));
  assert.deepEqual([clock.now(), woken], [1599, ["early", "late"]]);
});

for (const [name, clock] of [
  ["FakeClock", new FakeClock()],
  ["systemClock", systemClock],
] as const) {
  test(`${name}: a sleep ends with the reason it is given up for, also when that came before`, async () => {
    const reason = new Error("shutting down");
    const stop = new AbortController();
    const asleep = clock.sleep(60_000, stop.signal);
    stop.abort(reason);
    await assert.rejects(asleep, reason);
    await assert.rejects(clock.sleep(60_000, stop.signal), reason);
  });
}

test("a sleep that was given up is not woken, one without a signal is", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const given = clock.sleep(100, stop.signal).then(
    () => "woken",
    () => "given up",
  );
  stop.abort();
  clock.advance(200);
  assert.equal(await given, "given up");
});

test("a jump moves the time of day, and neither wakes nor delays who sleeps", async () => {
  const clock = new FakeClock(10_000_000);
  let woken = false;
  const asleep = clock.sleep(1000).then(() => {
    woken = true;
  });
  clock.jump(7_200_000);
  clock.advance(999);
  await Promise.resolve();
  assert.deepEqual([clock.now(), clock.steady(), woken], [17_200_999, 999, false]);
  clock.jump(-14_400_000);
  clock.advance(1);
  await asleep;
  assert.deepEqual([clock.now(), clock.steady()], [2_801_000, 1000]);
});

test("the machine's clock tells and sleeps real time", async () => {
  const before = systemClock.now();
  assert.ok(Math.abs(before - Date.now()) < 1000);
  await systemClock.sleep(2);
  assert.ok(systemClock.now() >= before + 1);
  const steady = systemClock.steady();
  await systemClock.sleep(2);
  assert.ok(systemClock.steady() >= steady + 1);
});
