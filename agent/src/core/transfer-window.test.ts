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

/** What became of a transfer over a link that carries so much and takes so long. */
interface Carried {
  /** Bytes ÷ what the link could carry in the time. */
  readonly share: number;
  /** What a control message would have waited behind chunks at the hub, median, in round trips. */
  readonly waitedRoundTrips: number;
  readonly requests: number;
}

/** Moves pieces over a link on which only the way and the bytes take time; the hub answers at once. */
function carry(window: TransferWindow, { mbitPerSecond = 0, rttMs = 0 }): Carried {
  const bytesPerMs = mbitPerSecond * 125;
  const frames: { atHubMs: number; goneMs: number; range: Range }[] = [];
  let [nowMs, freeMs, bytes, arrivals, requests] = [0, 0, 0, 0, 0];
  while (!window.done) {
    for (let ask = window.ask(nowMs); ask !== undefined; ask = window.ask(nowMs)) {
      requests += 1;
      for (const range of ask.ranges) {
        const atHubMs = nowMs + rttMs / 2;
        freeMs = Math.max(freeMs, atHubMs) + range.length / bytesPerMs;
        frames.push({ atHubMs, goneMs: freeMs, range });
      }
    }
    const next = frames[arrivals];
    if (next === undefined) assert.fail("nothing in flight");
    const arrivesMs = next.goneMs + rttMs / 2;
    const askMs = nowMs + (window.askInMs(nowMs) ?? Number.POSITIVE_INFINITY) + 0.1;
    if (askMs < arrivesMs) {
      nowMs = askMs;
      continue;
    }
    nowMs = arrivesMs;
    arrivals += 1;
    bytes += next.range.length;
    assert.ok(window.arrived(next.range.offset, next.range.length, nowMs));
  }
  const waits = Array.from({ length: 500 }, (_, at) => {
    const atMs = (at * nowMs) / 500;
    return Math.max(0, (frames.findLast(({ atHubMs }) => atHubMs <= atMs)?.goneMs ?? 0) - atMs) / rttMs;
  });
  const median = waits.sort((a, b) => a - b)[250] ?? Number.NaN;
  return { share: bytes / bytesPerMs / nowMs, waitedRoundTrips: median, requests };
}

for (const link of [
  { mbitPerSecond: 20, rttMs: 60 },
  { mbitPerSecond: 100, rttMs: 100 },
  { mbitPerSecond: 50, rttMs: 30 },
]) {
  const { mbitPerSecond, rttMs } = link;
  test(`a link of ${mbitPerSecond} Mbit/s and ${rttMs} ms is full, and a message waits less than a round trip`, () => {
    const { share, waitedRoundTrips } = carry(new TransferWindow(pieces(400)), link);
    assert.ok(share > 0.93, `used ${(100 * share).toFixed(0)} % of the link`);
    assert.ok(waitedRoundTrips < 1, `a message waited ${waitedRoundTrips.toFixed(2)} round trips`);
  });
}

test("a link that is slower than a chunk per round trip is full, with two chunks in flight and no more", () => {
  const window = new TransferWindow(pieces(40));
  assert.ok(carry(window, { mbitPerSecond: 1, rttMs: 60 }).share > 0.95);
  assert.ok(window.windowBytes <= chunk);
});

test("on a very fast link one request asks for many chunks, and never for more than the most", () => {
  const window = new TransferWindow(pieces(4000));
  const { share, requests } = carry(window, { mbitPerSecond: 1600, rttMs: 2 });
  assert.ok(share > 0.95);
  assert.ok(requests < 4000 / 8, `${requests} requests`);
  assert.ok(window.windowBytes <= windowLimits.maxBytes);
});

test("after a lost connection the window begins anew, because the next one may take another way", () => {
  const window = new TransferWindow(pieces(400));
  for (let nowMs = 0; nowMs < 40; nowMs += 10) {
    const asked = window.ask(nowMs)?.ranges ?? [];
    for (const { offset, length } of asked) window.arrived(offset, length, nowMs + 9);
  }
  assert.ok(window.windowBytes > windowLimits.startBytes);
  window.lost();
  assert.equal(window.windowBytes, windowLimits.startBytes);
});

test("a link is not sounded while frames come by other ways, which would make it seem longer", () => {
  const window = new TransferWindow(pieces(40));
  const first = window.ask(0, false)?.ranges ?? [];
  for (const [at, { offset, length }] of first.entries()) window.arrived(offset, length, 500 + at);
  assert.equal(window.roundTripMs, undefined);
  const later = window.ask(600)?.ranges ?? [];
  for (const [at, { offset, length }] of later.entries()) window.arrived(offset, length, 660 + 10 * at);
  assert.ok(Math.abs((window.roundTripMs ?? 0) - 50) < 1, `${window.roundTripMs} ms`);
});
