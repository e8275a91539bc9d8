import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns, TurnsOf } from "./turns.js";

/** Work that ends when it is told to, and says when it began. */
function work(began: string[], name: string) {
  let end: (error?: Error) => void = () => undefined;
  const over = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  const run = async () => {
    began.push(name);
    await over;
    return name;
  };
  return { run, end: (error?: Error) => end(error) };
}

test("work begins when what was asked for before is over, whether that failed or not", async () => {
  const turns = new Turns();
  const began: string[] = [];
  const [a, b, c] = [work(began, "a"), work(began, "b"), work(began, "c")];
  const first = turns.take(a.run);
  const second = turns.take(b.run);
  const third = turns.take(c.run);
  await new Promise(setImmediate);
  assert.deepEqual(began, ["a"]);
  a.end();
  assert.equal(await first, "a");
  await new Promise(setImmediate);
  assert.deepEqual(began, ["a", "b"]);
  b.end(new Error("b failed"));
  await assert.rejects(second, /b failed/);
  c.end();
  assert.equal(await third, "c");
  await turns.over();
  assert.deepEqual(began, ["a", "b", "c"]);
});

test("subjects do not wait for each other, and leave nothing behind", async () => {
  const turns = new TurnsOf<string>();
  const began: string[] = [];
  const [a, b, other] = [work(began, "a"), work(began, "b"), work(began, "other")];
  const all = [turns.take("x", a.run), turns.take("x", b.run), turns.take("y", other.run)];
  await new Promise(setImmediate);
  assert.deepEqual(began, ["a", "other"]);
  for (const { end } of [a, b, other]) end();
  await Promise.all(all);
  assert.equal(turns.busy, 0);
});

test("whoever is stopped while waiting waits no longer, its work is not done, and the next one has its turn", async () => {
  const turns = new TurnsOf<string>();
  const began: string[] = [];
  const [a, b, c] = [work(began, "a"), work(began, "b"), work(began, "c")];
  const stop = new AbortController();
  const first = turns.take("x", a.run, stop.signal);
  const second = turns.take("x", b.run, stop.signal);
  const third = turns.take("x", c.run);
  await new Promise(setImmediate);
  stop.abort(new Error("no longer wanted"));
  await assert.rejects(second, /no longer wanted/);
  await assert.rejects(turns.take("y", b.run, stop.signal), /no longer wanted/);
  a.end();
  assert.equal(await first, "a", "what was begun is not cut off");
  c.end();
  assert.equal(await third, "c");
  assert.deepEqual([began, turns.busy], [["a", "c"], 0]);
});
