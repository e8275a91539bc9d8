import assert from "node:assert/strict";
import { test } from "node:test";
import { batchRuleOf } from "./batch-rule.js";

test("a bundle decides how its inputs share runs, within what the device gives", () => {
  const [usual, most] = [
    { maxRows: 8, maxDelayMs: 0 },
    { maxRows: 32, maxDelayMs: 20 },
  ];
  assert.deepEqual(batchRuleOf(undefined, usual, most), usual);
  assert.deepEqual(batchRuleOf({ maxRows: 16, maxDelayMs: 5 }, usual, most), { maxRows: 16, maxDelayMs: 5 });
  assert.deepEqual(batchRuleOf({ maxRows: 1, maxDelayMs: 0 }, usual, most), { maxRows: 1, maxDelayMs: 0 });
  assert.deepEqual(batchRuleOf({ maxRows: 100, maxDelayMs: 500 }, usual, most), most);
});
