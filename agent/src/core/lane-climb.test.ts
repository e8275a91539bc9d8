import assert from "node:assert/strict";
import { test } from "node:test";
import { LaneClimb } from "./lane-climb.js";

const chunk = 100_000;
const stepMs = 10;

/** Bytes per millisecond that a link carries with so many connections. */
type Link = (connections: number, atMs: number) => number;

/** Transfers over a link for so long; returns how many lanes there were in each step, 100 steps a second. */
function drive(climb: LaneClimb, link: Link, forMs: number, leftBytes = 1e9, fromMs = 0): number[] {
  const lanes: number[] = [];
  let [carried, connectedMs] = [0, fromMs];
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += stepMs) {
    const wanted = climb.look({ nowMs, leftBytes, open: connectedMs <= nowMs ? (lanes.at(-1) ?? 0) : 0 });
    if (wanted > (lanes.at(-1) ?? 0)) connectedMs = nowMs + 300;
    lanes.push(wanted);
    carried += stepMs * link(connectedMs <= nowMs ? Math.max(1, wanted) : 1, nowMs);
    for (; carried >= chunk; carried -= chunk) climb.arrived(chunk, nowMs);
  }
  return lanes;
}

const shareOf = (lanes: readonly number[], count: number) =>
  lanes.filter((each) => each === count).length / lanes.length;
const clean: Link = () => 2500;
/** A link on which each connection carries an eighth. */
const lossy: Link = (connections) => Math.min(2500, connections * 312);

test("a link that one connection fills keeps that one, and is tried more and more rarely", () => {
  const lanes = drive(new LaneClimb(10), clean, 3_600_000);
  assert.ok(shareOf(lanes, 0) > 0.99, `no lanes in ${shareOf(lanes, 0)} of the time`);
  assert.deepEqual([...new Set(lanes)], [0, 4]);
  const tries = lanes.flatMap((count, at) => (count > 0 && lanes[at - 1] === 0 ? [at * stepMs] : []));
  assert.ok(tries.length >= 3 && tries.length <= 10, `${tries.length} tries in an hour`);
});

test("a link that loses packets has the most lanes within seconds, and keeps them", () => {
  const lanes = drive(new LaneClimb(10), lossy, 600_000);
  assert.ok(lanes.indexOf(10) * stepMs < 6000, `ten lanes after ${lanes.indexOf(10) * stepMs} ms`);
  assert.ok(shareOf(lanes, 10) > 0.95, `ten lanes in ${shareOf(lanes, 10)} of the time`);
});

test("a link that a few lanes fill has no more of them", () => {
  const lanes = drive(new LaneClimb(10), (connections) => Math.min(2500, connections * 700), 600_000);
  assert.ok(shareOf(lanes, 4) > 0.9, `four lanes in ${shareOf(lanes, 4)} of the time`);
});

test("a link that changes is found out, either way", () => {
  const climb = new LaneClimb(10);
  drive(climb, clean, 60_000);
  const worse = drive(climb, lossy, 120_000, 1e9, 60_000);
  assert.ok(worse.indexOf(10) * stepMs < 30_000, `ten lanes ${worse.indexOf(10) * stepMs} ms after packets get lost`);
  const better = drive(climb, clean, 600_000, 1e9, 180_000);
  assert.equal(better.at(-1), 0);
});

test("a connection that is fast only until it loses its first packet gets lanes soon after", () => {
  const fading: Link = (connections, atMs) => (atMs < 4000 ? 2500 : lossy(connections, atMs));
  const lanes = drive(new LaneClimb(10), fading, 30_000);
  assert.ok(lanes.indexOf(10) * stepMs < 15_000, `ten lanes after ${lanes.indexOf(10) * stepMs} ms`);
});

test("a rate that still rises is not taken for one that lanes have raised", () => {
  const lanes = drive(new LaneClimb(10), (_, atMs) => Math.min(2500, 100 * 2 ** (atMs / 300)), 30_000);
  assert.ok(!lanes.includes(10), "it doubles every 300 ms by itself");
  assert.ok(shareOf(lanes, 0) > 0.9, `no lanes in ${shareOf(lanes, 0)} of the time`);
});

test("a transfer that is over soon opens no lane, nor does a device that may not", () => {
  assert.equal(Math.max(...drive(new LaneClimb(10), lossy, 30_000, 2_000_000)), 0);
  assert.equal(Math.max(...drive(new LaneClimb(0), lossy, 30_000)), 0);
  assert.equal(Math.max(...drive(new LaneClimb(2), lossy, 30_000)), 2);
});

test("what was found holds for the next transfer if that is long enough, and not for another link", () => {
  const climb = new LaneClimb(10);
  drive(climb, lossy, 20_000);
  assert.equal(climb.look({ nowMs: 21_000, leftBytes: 100_000, open: 0 }), 0);
  assert.equal(climb.look({ nowMs: 22_000, leftBytes: 1e8, open: 0 }), 10);
  climb.reset();
  assert.equal(climb.look({ nowMs: 23_000, leftBytes: 1e8, open: 0 }), 0);
});

test("lanes that cannot be opened are given up, and tried again later", () => {
  const climb = new LaneClimb(10);
  const lanes: number[] = [];
  for (let nowMs = 0; nowMs < 120_000; nowMs += 100) {
    climb.arrived(chunk, nowMs);
    lanes.push(climb.look({ nowMs, leftBytes: 1e9, open: 0 }));
  }
  assert.ok(shareOf(lanes, 0) > 0.6, `wanted none in ${shareOf(lanes, 0)} of the time`);
  assert.ok(lanes.filter((count, at) => count > 0 && lanes[at - 1] === 0).length > 1);
});
