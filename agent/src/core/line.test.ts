import assert from "node:assert/strict";
import { test } from "node:test";
import { Line, type Priority, type Waiting } from "./line.js";

interface Named extends Waiting {
  readonly name: string;
}

const alone = { maxRows: 1, maxDelayMs: 0 };
const item = (name: string, changes: Partial<Named> = {}): Named => ({
  ...{ name, priority: "normal" as Priority, sinceMs: 0, rows: 1, batchKey: "a" },
  ...changes,
});

function lineOf(...items: Named[]): Line<Named> {
  const line = new Line<Named>();
  for (const one of items) line.add(one);
  return line;
}

function names(next: ReturnType<Line<Named>["next"]>): string[] | number | undefined {
  return next?.do === "run" ? next.items.map(({ name }) => name) : next?.ms;
}

test("the urgent go first, and the equally urgent in the order in which they came", () => {
  const line = lineOf(
    item("low", { priority: "low" }),
    item("first"),
    item("second"),
    item("high", { priority: "high" }),
  );
  const order = [1, 2, 3, 4, 5].map(() => names(line.next(alone, 1, 0)));
  assert.deepEqual(order, [["high"], ["first"], ["second"], ["low"], undefined]);
});

test("what has gone away does not run", () => {
  const gone = item("gone");
  const line = lineOf(gone, item("here"));
  assert.equal(line.remove(gone), true);
  assert.equal(line.remove(gone), false);
  assert.deepEqual([names(line.next(alone, 1, 0)), line.length], [["here"], 0]);
});

test("inputs that may share a run do so up to the limit of rows, and others are left for the next", () => {
  const line = lineOf(
    item("a1"),
    item("b", { batchKey: "b" }),
    item("a2", { rows: 2 }),
    item("a3", { rows: 2 }),
    item("a4"),
  );
  const rule = { maxRows: 4, maxDelayMs: 0 };
  assert.deepEqual(names(line.next(rule, 1, 0)), ["a1", "a2"]);
  assert.deepEqual(names(line.next(rule, 1, 0)), ["b"]);
  assert.deepEqual(names(line.next(rule, 1, 0)), ["a3", "a4"]);
});

test("an input larger than the limit runs, alone", () => {
  const line = lineOf(item("large", { rows: 9 }), item("small"));
  assert.deepEqual(names(line.next({ maxRows: 4, maxDelayMs: 0 }, 1, 0)), ["large"]);
});

test("what waits is spread over the free places", () => {
  const line = lineOf(...["1", "2", "3", "4", "5"].map((name) => item(name)));
  const rule = { maxRows: 8, maxDelayMs: 0 };
  assert.deepEqual(names(line.next(rule, 2, 0)), ["1", "2", "3"]);
  assert.deepEqual(names(line.next(rule, 1, 0)), ["4", "5"]);
});

test("a batch that is not full waits for others as long as it may, from when the oldest came", () => {
  const line = lineOf(item("old", { sinceMs: 10 }), item("new", { sinceMs: 14 }));
  const rule = { maxRows: 4, maxDelayMs: 5 };
  assert.equal(names(line.next(rule, 1, 14)), 1);
  assert.deepEqual(names(line.next(rule, 1, 15)), ["old", "new"]);
  line.add(item("alone", { batchKey: undefined, sinceMs: 20 }));
  assert.deepEqual(names(line.next(rule, 1, 20)), ["alone"], "what cannot share a run waits for nobody");
});

test("a full line makes room for the more urgent at the cost of the last and least urgent", () => {
  const line = lineOf(item("n1"), item("l1", { priority: "low" }), item("l2", { priority: "low" }), item("n2"));
  assert.equal(line.weakerThan("high")?.name, "l2");
  assert.equal(line.weakerThan("normal")?.name, "l2");
  assert.equal(line.weakerThan("low"), undefined);
  const normal = lineOf(item("n1"), item("n2"));
  assert.equal(normal.weakerThan("high")?.name, "n2");
  assert.equal(normal.weakerThan("normal"), undefined);
});
