import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchWorth } from "./batch-worth.js";

/** Runs so often with so many inputs each. */
function see(worth: BatchWorth, times: number, rows: number, msPerRow: number): void {
  for (let at = 0; at < times; at += 1) worth.saw(rows, rows * msPerRow);
}

test("inputs share runs until enough of them were slower than runs alone", () => {
  const worth = new BatchWorth();
  assert.equal(worth.rows(8), 8);
  see(worth, 20, 1, 70);
  see(worth, 7, 4, 87);
  assert.equal(worth.rows(8), 8);
  see(worth, 1, 4, 87);
  assert.equal(worth.rows(8), 1);
});

test("runs that are as fast shared as alone are shared", () => {
  const worth = new BatchWorth();
  see(worth, 20, 1, 1);
  see(worth, 20, 8, 1.05);
  assert.equal(worth.rows(8), 8);
  assert.equal(worth.rows(1), 1);
});

test("it is looked at again, and a change of what is faster is noticed", () => {
  const worth = new BatchWorth();
  see(worth, 8, 1, 70);
  see(worth, 8, 4, 87);
  see(worth, 99, 1, 70);
  assert.equal(worth.rows(8), 1);
  see(worth, 1, 1, 70);
  assert.equal(worth.rows(8), 8);
  see(worth, 1, 4, 87);
  assert.equal(worth.rows(8), 1);
  // Everything is slower now, as beside other work: what was seen alone and idle is no measure for it.
  see(worth, 30, 1, 100);
  assert.equal(worth.rows(8), 8);
});
