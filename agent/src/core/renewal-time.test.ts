import assert from "node:assert/strict";
import { test } from "node:test";
import { isOverdue, renewAtMs, renewalBackoff } from "./renewal-time.js";

const dayMs = 86_400_000;
const validity = { fromMs: 0, expiresMs: 90 * dayMs };

test("a certificate is renewed at two thirds of its life and overdue at five sixths", () => {
  assert.equal(renewAtMs(validity), 60 * dayMs);
  assert.equal(isOverdue(validity, 74 * dayMs), false);
  assert.equal(isOverdue(validity, 76 * dayMs), true);
});

test("the last third has room for many tries, however short the life is", () => {
  for (const lifeMs of [6000, dayMs, 90 * dayMs]) {
    const { baseMs, capMs } = renewalBackoff({ fromMs: 0, expiresMs: lifeMs });
    assert.ok(baseMs <= capMs && capMs * 5 <= lifeMs / 3, `${lifeMs}: ${baseMs} ${capMs}`);
  }
});
