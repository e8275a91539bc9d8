import assert from "node:assert/strict";
import { test } from "node:test";
import { TransferWays } from "./transfer-ways.js";
import { type Range, windowLimits } from "./transfer-window.js";

const chunk = 128 * 1024;
const pieces = (count: number): Range[] =>
  Array.from({ length: count }, (_, at) => ({ offset: at * chunk, length: chunk }));

/** All that may be asked for now, with the ways it is asked for on. */
function askAll(ways: TransferWays, nowMs: number, on: readonly number[]): { way: number; range: Range }[] {
  const asked: { way: number; range: Range }[] = [];
  for (let ask = ways.ask(nowMs, on); ask !== undefined; ask = ways.ask(nowMs, on))
    for (const range of ask.ranges) asked.push({ way: ask.way, range });
  return asked;
}

test("every range is asked for once, on all ways there are, and never more at once than one connection may", () => {
  const ways = new TransferWays(pieces(200));
  const asked = askAll(
    ways,
    0,
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
  assert.equal(new Set(asked.map(({ range }) => range.offset)).size, asked.length);
  assert.equal(asked.length * chunk, windowLimits.maxBytes);
  assert.ok(new Set(asked.map(({ way }) => way)).size >= 10);
});

test("what was asked for on a lane that ends is asked for again on others, and nothing else is", () => {
  const ways = new TransferWays(pieces(40));
  const before = askAll(ways, 0, [1, 2]);
  ways.lost(1);
  const lost = before.filter(({ way }) => way === 1).map(({ range }) => range.offset);
  const again = new Set(askAll(ways, 1, [2, 3]).map(({ range }) => range.offset));
  for (const { way, range } of before) assert.equal(again.has(range.offset), way === 1);
  assert.ok(lost.length > 0);
});

test("a frame counts on whichever way it comes, once, also from one that is not asked on any more", () => {
  const ways = new TransferWays(pieces(6));
  const asked = [...askAll(ways, 0, [0]), ...askAll(ways, 0, [1])];
  for (const { range } of asked) {
    assert.equal(ways.arrived(range.offset, range.length, 50), true);
    assert.equal(ways.arrived(range.offset, range.length, 51), false);
  }
  assert.equal(ways.leftBytes, (6 - asked.length) * chunk);
  ways.again({ offset: 0, length: chunk });
  assert.equal(ways.leftBytes, (7 - asked.length) * chunk);
  assert.equal(ways.done, false);
});

test("what is overdue is told with its way, and asked for again", () => {
  const ways = new TransferWays(pieces(4));
  askAll(ways, 0, [0]);
  assert.deepEqual(ways.expire(ways.timeoutMs() - 1), []);
  assert.deepEqual(ways.expire(ways.timeoutMs()), [{ way: 0, overdue: 4 }]);
  assert.equal(askAll(ways, 10_000, [1]).length, 2);
});

/** Connections that each carry so much, behind each other's frames on nothing; returns what came per millisecond. */
function carry(ways: TransferWays, lanes: readonly number[], bytesPerMs: number, rttMs: number): number {
  const freeMs = new Map<number, number>();
  const coming: { readonly atMs: number; readonly range: Range }[] = [];
  let [nowMs, bytes] = [0, 0];
  while (!ways.done) {
    for (const { way, range } of askAll(ways, nowMs, lanes)) {
      const goneMs = Math.max(freeMs.get(way) ?? 0, nowMs + rttMs / 2) + range.length / bytesPerMs;
      freeMs.set(way, goneMs);
      coming.push({ atMs: goneMs + rttMs / 2, range });
    }
    coming.sort((a, b) => a.atMs - b.atMs);
    const next = coming[0];
    if (next === undefined) assert.fail("nothing in flight");
    const askMs = nowMs + (ways.askInMs(nowMs, lanes) ?? Number.POSITIVE_INFINITY) + 0.1;
    nowMs = Math.min(next.atMs, askMs);
    if (askMs < next.atMs) continue;
    coming.shift();
    bytes += next.range.length;
    assert.ok(ways.arrived(next.range.offset, next.range.length, nowMs));
  }
  return bytes / nowMs;
}

test("slow connections side by side are all kept busy", () => {
  const lanes = Array.from({ length: 10 }, (_, at) => at + 1);
  const share = carry(new TransferWays(pieces(600)), lanes, 250, 60) / 2500;
  assert.ok(share > 0.93, `they carry ${(100 * share).toFixed(0)} % of what they could`);
});
