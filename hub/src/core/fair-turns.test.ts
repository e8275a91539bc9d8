import assert from "node:assert/strict";
import { test } from "node:test";
import { FairTurns } from "./fair-turns.js";

/** Devices that always want more, each so many bytes at a time; returns what each was given in so many turns. */
function given(turns: FairTurns, wants: Readonly<Record<string, number>>, count: number) {
  const sent: Record<string, number> = Object.fromEntries(Object.keys(wants).map((device) => [device, 0]));
  for (const [device, bytes] of Object.entries(wants)) turns.ask(device, bytes);
  for (let turn = 0; turn < count; turn += 1) {
    const next = turns.next();
    assert.ok(next !== undefined);
    sent[next.device] = (sent[next.device] ?? 0) + next.bytes;
    turns.done(next.device);
    turns.ask(next.device, next.bytes);
  }
  return sent;
}

test("devices that want the same take turns", () => {
  assert.deepEqual(given(new FairTurns(1), { a: 4, b: 4, c: 4 }, 300), { a: 400, b: 400, c: 400 });
});

test("a device that asks for more at a time gets no more bytes than the others", () => {
  const sent = given(new FairTurns(1), { greedy: 1000, a: 100, b: 10 }, 10_000);
  const shares = Object.values(sent);
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 2 * 1000, JSON.stringify(sent));
});

test("no more devices go at once than may, and the next one goes when one is done", () => {
  const turns = new FairTurns(2);
  for (const device of ["a", "b", "c"]) turns.ask(device, 1);
  assert.deepEqual([turns.next()?.device, turns.next()?.device, turns.next()], ["a", "b", undefined]);
  assert.equal(turns.crowded, true);
  turns.done("a");
  assert.equal(turns.next()?.device, "c");
  assert.equal(turns.crowded, false);
  turns.done("b");
  assert.equal(turns.next(), undefined);
});

test("a device that was away makes up for nothing, and one that had much while it was alone is not made to wait for it", () => {
  const turns = new FairTurns(1);
  given(turns, { early: 10 }, 1000);
  const sent = given(turns, { late: 10 }, 100);
  assert.ok(sent.late !== undefined && sent.late >= 480 && sent.late <= 520, `late had ${sent.late} of 1000 bytes`);
});

test("who comes with many others is served within one round of them", () => {
  const turns = new FairTurns(1);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`d${at}`, 100]));
  given(turns, many, 1234);
  turns.ask("new", 100);
  let rounds = 0;
  for (let next = turns.next(); next?.device !== "new"; next = turns.next()) {
    assert.ok(next !== undefined);
    turns.done(next.device);
    turns.ask(next.device, 100);
    rounds += 1;
  }
  assert.ok(rounds <= 500, `${rounds} others went first`);
});

test("of devices that have gone away nothing is remembered for long", () => {
  const turns = new FairTurns(4);
  for (let at = 0; at < 10_000; at += 1) {
    turns.ask(`d${at}`, 100);
    turns.next();
    turns.done(`d${at}`);
    turns.ask("stays", 100);
    turns.next();
    turns.done("stays");
  }
  assert.ok(turns.known < 20, `${turns.known} are remembered`);
});

test("a device that wants many turns at once gets no more than one that wants one at a time, and counts as one", () => {
  const turns = new FairTurns(1);
  const sent: Record<string, number> = { many: 0, one: 0 };
  for (let at = 0; at < 10; at += 1) turns.ask("many", 100);
  turns.ask("one", 100);
  for (let turn = 0; turn < 1000; turn += 1) {
    const next = turns.next();
    assert.ok(next !== undefined);
    sent[next.device] = (sent[next.device] ?? 0) + next.bytes;
    turns.done(next.device);
    turns.ask(next.device, next.bytes);
  }
  assert.ok(Math.abs((sent.many ?? 0) - (sent.one ?? 0)) <= 200, JSON.stringify(sent));
});

test("the turns of a device wait for each other only when it is another's turn", () => {
  const turns = new FairTurns(1);
  turns.ask("a", 1);
  turns.ask("a", 1);
  assert.deepEqual([turns.next()?.device, turns.next()?.device], ["a", "a"]);
  turns.ask("a", 1);
  turns.ask("b", 1);
  assert.equal(turns.next(), undefined, "it is b's turn, and a has the place");
  turns.done("a");
  assert.equal(turns.next(), undefined);
  turns.done("a");
  assert.equal(turns.next()?.device, "b");
});

test("devices whose turns overlap all the time leave a place to others", () => {
  const turns = new FairTurns(2);
  const sent: Record<string, number> = { a: 0, b: 0, c: 0 };
  for (const device of ["a", "a", "b", "b", "c"]) turns.ask(device, 100);
  const going: string[] = [];
  for (let turn = 0; turn < 3000; turn += 1) {
    for (let next = turns.next(); next !== undefined; next = turns.next()) {
      sent[next.device] = (sent[next.device] ?? 0) + next.bytes;
      going.push(next.device);
    }
    // The one that began first ends, and wants more at once, while its device's other turn goes on.
    const ends = going.shift();
    assert.ok(ends !== undefined);
    turns.ask(ends, 100);
    turns.done(ends);
  }
  const shares = Object.values(sent);
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 400, JSON.stringify(sent));
});
