import assert from "node:assert/strict";
import { test } from "node:test";
import { type Range, TransferWindow, windowLimits } from "./transfer-window.js";

const chunk = 128 * 1024;
const pieces = (count: number): Range[] =>
  Array.from({ length: count }, (_, at) => ({ offset: at * chunk, length: chunk }));

test("at most a window is asked for, and more once half of it is free", () => {
  const window = new TransferWindow(pieces(20));
  const first = window.ask(0);
  assert.equal(first?.ranges.length, windowLimits.startBytes / chunk);
  assert.equal(window.ask(0), undefined);
  window.arrived(0, chunk, 10);
  assert.equal(window.ask(10), undefined);
  window.arrived(chunk, chunk, 10);
  assert.ok(window.ask(10));
});

test("everything arrives whatever is lost, repeated, late or out of order", () => {
  let state = 99;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const window = new TransferWindow(pieces(60));
  const got = new Set<number>();
  let nowMs = 0;
  for (let turn = 0; turn < 5000 && !window.done; turn += 1) {
    nowMs += 50;
    window.expire(nowMs);
    const frames: Range[] = [];
    for (let ask = window.ask(nowMs); ask !== undefined; ask = window.ask(nowMs)) frames.push(...ask.ranges);
    frames.sort(() => random() - 0.5);
    for (const frame of frames) {
      if (random() < 0.2) continue;
      const times = random() < 0.2 ? 2 : 1;
      for (let time = 0; time < times; time += 1) {
        if (window.arrived(frame.offset, frame.length, nowMs + 5)) {
          assert.ok(!got.has(frame.offset), "a repeated frame was taken twice");
          got.add(frame.offset);
        }
      }
    }
    if (random() < 0.05) window.lost();
  }
  assert.ok(window.done);
  assert.equal(got.size, 60);
});

test("a frame nobody asked for, or of another length, is not taken", () => {
  const window = new TransferWindow(pieces(3));
  assert.equal(window.arrived(0, chunk, 0), false);
  window.ask(0);
  assert.equal(window.arrived(0, chunk - 1, 0), false);
  assert.equal(window.arrived(7, chunk, 0), false);
  assert.equal(window.arrived(0, chunk, 0), true);
});

test("overdue ranges are asked for again and halve the window", () => {
  const window = new TransferWindow(pieces(20));
  const asked = window.ask(0)?.ranges.length;
  assert.equal(window.expire(window.timeoutMs() - 1), 0);
  const overdueMs = window.timeoutMs();
  assert.equal(window.expire(overdueMs), asked);
  assert.equal(window.windowBytes, windowLimits.startBytes / 2);
  assert.deepEqual(window.ask(overdueMs)?.ranges[0], { offset: 0, length: chunk });
});

test("on a fast link with a long way the window grows to twice its product of bandwidth and delay", () => {
  const window = new TransferWindow(pieces(2000));
  const rttMs = 100;
  const bytesPerMs = 12_500;
  const arrivals: { atMs: number; range: Range }[] = [];
  let linkFreeMs = 0;
  let nowMs = 0;
  while (!window.done) {
    for (let ask = window.ask(nowMs); ask !== undefined; ask = window.ask(nowMs)) {
      for (const range of ask.ranges) {
        linkFreeMs = Math.max(linkFreeMs, nowMs + rttMs) + range.length / bytesPerMs;
        arrivals.push({ atMs: linkFreeMs, range });
      }
    }
    const next = arrivals.shift();
    if (next === undefined) assert.fail("nothing in flight");
    nowMs = next.atMs;
    window.arrived(next.range.offset, next.range.length, nowMs);
  }
  const idealMs = (2000 * chunk) / bytesPerMs;
  assert.ok(idealMs / nowMs > 0.85, `used ${((100 * idealMs) / nowMs).toFixed(0)} % of the link`);
  assert.ok(window.windowBytes <= windowLimits.maxBytes);
});
