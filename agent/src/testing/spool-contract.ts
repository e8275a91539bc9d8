import assert from "node:assert/strict";
import { test } from "node:test";
import type { Spool } from "../ports.js";

/** The record the suite spools. */
export interface Note {
  readonly seq: number;
  readonly text: string;
}

/** What every {@link Spool} does. `open` opens the same spool again within one test, capped at 5 records. */
export function spoolContract(name: string, fresh: () => Promise<{ open: () => Promise<Spool<Note>> }>): void {
  const add = (spool: Spool<Note>, text: string) => spool.add((seq) => ({ seq, text }));

  test(`${name}: records keep their order and numbers until they are acknowledged`, async () => {
    const spool = await (await fresh()).open();
    assert.deepEqual([await add(spool, "a"), await add(spool, "b"), await add(spool, "c")], [1, 2, 3]);
    assert.deepEqual(await spool.oldest(2), [
      { seq: 1, text: "a" },
      { seq: 2, text: "b" },
    ]);
    await spool.acknowledge(2);
    assert.deepEqual(await spool.oldest(10), [{ seq: 3, text: "c" }]);
    assert.deepEqual(spool.counts(), { waiting: 1, dropped: 0 });
  });

  test(`${name}: what waits survives a restart under the same stream and goes on counting`, async () => {
    const place = await fresh();
    const before = await place.open();
    await add(before, "a");
    const after = await place.open();
    assert.equal(after.stream, before.stream);
    assert.deepEqual(await after.oldest(10), [{ seq: 1, text: "a" }]);
    assert.equal(await add(after, "b"), 2);
  });

  test(`${name}: an empty spool begins a new stream when it is opened again`, async () => {
    const place = await fresh();
    const before = await place.open();
    await add(before, "a");
    await before.acknowledge(1);
    assert.notEqual((await place.open()).stream, before.stream);
  });

  test(`${name}: beyond its cap the oldest goes and is counted`, async () => {
    const spool = await (await fresh()).open();
    for (const text of "abcdefg") await add(spool, text);
    assert.deepEqual(spool.counts(), { waiting: 5, dropped: 2 });
    assert.equal((await spool.oldest(1))[0]?.text, "c");
  });

  test(`${name}: records added at once get numbers without gaps`, async () => {
    const spool = await (await fresh()).open();
    const numbers = await Promise.all(["a", "b", "c", "d"].map((text) => add(spool, text)));
    assert.deepEqual(numbers, [1, 2, 3, 4]);
    await spool.acknowledge(99);
    assert.deepEqual(await spool.oldest(10), []);
  });
}
