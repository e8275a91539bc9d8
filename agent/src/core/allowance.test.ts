import assert from "node:assert/strict";
import { test } from "node:test";
import { leftBytes, parseHours, pauseReason, withSpent } from "./allowance.js";

const day = "2026-03-01";
const nothing = { day, bytes: 0 };
const at = (text: string, on = day) => ({ day: on, minutes: parseHours(`${text}-24:00`)?.from ?? 0 });

test("hours are read with their minutes, and what makes no sense is none", () => {
  assert.deepEqual(parseHours("22:00-06:30"), { from: 1320, to: 390 });
  assert.deepEqual(parseHours("0:00 - 24:00"), { from: 0, to: 1440 });
  for (const bad of ["", "22-6", "25:00-06:00", "22:60-06:00", "22:00"]) assert.equal(parseHours(bad), undefined, bad);
});

test("outside of the hours nothing is fetched, also when they go over midnight", () => {
  const night = { hours: parseHours("22:00-06:00"), bytesPerDay: 0 };
  for (const open of ["22:00", "23:59", "00:00", "05:59"])
    assert.equal(pauseReason(night, nothing, at(open)), undefined, open);
  assert.match(pauseReason(night, nothing, at("06:00")) ?? "", /from 22:00 to 06:00 only/);
  const work = { hours: parseHours("09:00-17:00"), bytesPerDay: 0 };
  assert.equal(pauseReason(work, nothing, at("12:00")), undefined);
  assert.ok(pauseReason(work, nothing, at("17:00")));
});

test("a day's bytes are used up once, and there again on the next day", () => {
  const rules = { hours: undefined, bytesPerDay: 1000 };
  const spent = withSpent(withSpent(nothing, 600, at("10:00")), 400, at("11:00"));
  assert.deepEqual(spent, { day, bytes: 1000 });
  assert.match(pauseReason(rules, spent, at("12:00")) ?? "", /1000 bytes of today are used up/);
  assert.equal(pauseReason(rules, spent, at("00:00", "2026-03-02")), undefined);
  assert.deepEqual(withSpent(spent, 5, at("00:01", "2026-03-02")), { day: "2026-03-02", bytes: 5 });
  assert.equal(pauseReason({ hours: undefined, bytesPerDay: 0 }, spent, at("12:00")), undefined);
  assert.equal(leftBytes(rules, withSpent(nothing, 600, at("10:00")), at("10:00")), 400);
  assert.equal(leftBytes(rules, { day, bytes: 1200 }, at("12:00")), 0);
  assert.equal(leftBytes(rules, spent, at("00:00", "2026-03-02")), 1000);
  assert.equal(leftBytes({ hours: undefined, bytesPerDay: 0 }, spent, at("12:00")), Number.POSITIVE_INFINITY);
});
