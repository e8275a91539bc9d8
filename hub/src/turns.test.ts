import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "./turns.js";

test("no more work runs at once than there are turns, the rest in its order, and a failure frees its turn", async () => {
  const turns = new Turns(2);
  const ends: (() => void)[] = [];
  const began: number[] = [];
  const work = (at: number) =>
    turns.run(async () => {
      began.push(at);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (at === 0) throw new Error("failed");
      return at;
    });
  const results = Promise.allSettled([0, 1, 2, 3].map(work));
  assert.deepEqual(began, [0, 1]);
  for (const count of [3, 4, 4, 4]) {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(began.length, count);
  }
  assert.deepEqual(began, [0, 1, 2, 3]);
  assert.deepEqual(
    (await results).map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled", "fulfilled"],
  );
});
