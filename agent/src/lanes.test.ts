import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { encodeFrame, type Log } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import { Lanes } from "./lanes.js";
import type { OpenLane } from "./ports.js";
import { bench, digestOf, hurried, Line, never } from "./testing/bad-line.js";

const chunk = 100_000;

/** Lanes at a line that one connection does not fill, with one transfer of so many bytes. */
function lossyLine(t: TestContext, { refuse = false, most = 10 } = {}) {
  const clock = new FakeClock();
  const line = new Line();
  const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const open = new Map<number, { onFrame(payload: Buffer): void; end(reason: string): void }>();
  let connects = 0;
  const openLane: OpenLane = (lane, { onOpen, onFrame }, signal) => {
    connects += 1;
    if (refuse) return Promise.resolve("refused");
    return new Promise((resolve) => {
      const end = (reason: string) => {
        open.delete(lane);
        resolve(reason);
      };
      open.set(lane, { onFrame, end });
      signal.addEventListener("abort", () => end("closed"));
      onOpen();
    });
  };
  const lanes = new Lanes({ main: () => line, open: openLane, most, clock, log });
  t.after(() => lanes.close());
  const got: string[] = [];
  const lost: number[] = [];
  let paused = false;
  const listen = () =>
    lanes.listen(7, {
      onFrame: ({ bytes }) => got.push(String(bytes.subarray(0, 10))),
      onReply: nothing,
      onConnection: nothing,
      onLaneLost: (lane) => lost.push(lane),
      leftBytes: () => 1e9,
    });
  const frame = (text: string) =>
    encodeFrame({ transfer: 7, request: 1, offset: 0, bytes: Buffer.concat([Buffer.from(text), Buffer.alloc(chunk)]) });
  /** So many seconds in which every connection carries three frames a second. */
  const run = async (seconds: number) => {
    for (let at = 0; at < seconds * 10; at += 1) {
      if (at % 3 === 0 && !paused) {
        if (open.size === 0) line.give({ transfer: 7, request: 1, offset: 0, bytes: Buffer.alloc(chunk) });
        for (const { onFrame } of open.values()) onFrame(frame("on a lane "));
      }
      clock.advance(100);
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
    }
  };
  const pause = (on: boolean) => {
    paused = on;
  };
  return { lanes, line, open, run, listen, got, lost, pause, connects: () => connects };
}

function nothing(): void {
  // Nobody listens.
}

test("lanes are opened while a long transfer gains by them, and closed soon after its end", async (t) => {
  const { lanes, open, run, listen, got } = lossyLine(t);
  lanes.allow(16);
  const stop = listen();
  assert.deepEqual(lanes.ways, [0]);
  await run(15);
  assert.deepEqual([...open.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(lanes.ways, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(got.includes("on a lane "));
  stop();
  await run(5);
  assert.deepEqual([[...open.keys()], lanes.ways], [[], [0]]);
});

test("a hub that knows of no lanes, and a device that is to have none, get none", async (t) => {
  for (const [allowed, most] of [
    [0, 10],
    [16, 0],
  ] as const) {
    const { lanes, run, listen, connects } = lossyLine(t, { most });
    lanes.allow(allowed);
    listen();
    await run(15);
    assert.equal(connects(), 0);
  }
});

test("a lane that ends is told to transfers and opened again after a while; one that is overdue is ended", async (t) => {
  const { lanes, open, run, listen, lost, connects } = lossyLine(t);
  lanes.allow(3);
  listen();
  await run(10);
  open.get(2)?.end("cut");
  await run(0.1);
  assert.deepEqual([lost, lanes.ways], [[2], [1, 3]]);
  lanes.overdue(3);
  await run(0.1);
  assert.deepEqual(lost, [2, 3]);
  await run(5);
  assert.deepEqual([...open.keys()].sort(), [1, 2, 3]);
  assert.ok(connects() <= 6, `${connects()} connects`);
});

test("lanes that a hub refuses are given up after a few connects, and the transfer goes on without", async (t) => {
  const { lanes, run, listen, connects, got } = lossyLine(t, { refuse: true });
  lanes.allow(16);
  listen();
  await run(60);
  assert.deepEqual(lanes.ways, [0]);
  assert.ok(connects() > 0 && connects() < 40, `${connects()} connects in a minute`);
  assert.ok(got.length > 150);
});

test("while a transfer waits for its hours there are no lanes, and when it goes on there are again", async (t) => {
  const { lanes, line, open, run, listen, pause } = lossyLine(t);
  lanes.allow(16);
  listen();
  await run(15);
  pause(true);
  await run(70);
  assert.deepEqual([[...open.keys()], lanes.ways], [[], [0]]);
  pause(false);
  line.give({ transfer: 7, request: 1, offset: 0, bytes: Buffer.alloc(chunk) });
  await run(1);
  assert.equal(open.size, 10);
});

test("lanes end with the device's own connection, and are looked for anew on the next one", async (t) => {
  const { lanes, line, open, run, listen } = lossyLine(t);
  lanes.allow(16);
  listen();
  await run(15);
  line.cut();
  await run(1);
  assert.deepEqual([[...open.keys()], lanes.ways], [[], [0]]);
  line.mend();
  await run(15);
  assert.equal(open.size, 10);
});

test("what is no frame on a lane reaches nobody and ends nothing", async (t) => {
  const { lanes, open, run, listen, got } = lossyLine(t);
  lanes.allow(3);
  listen();
  await run(10);
  const before = got.length;
  open.get(1)?.onFrame(Buffer.from("no frame"));
  assert.equal(got.length, before);
  assert.equal(open.size, 3);
});

test("an artifact arrives whole over lanes that end and come back, and requests name the lane", async () => {
  const clock = new FakeClock();
  const { artifact, shelf, transfer, line } = await bench(randomBytes(200 * 64 * 1024), clock);
  line.ways = [1, 2, 3];
  let frames = 0;
  line.carry = (frame, deliver) => {
    frames += 1;
    if (frames === 20) line.loseLane(1);
    if (frames === 60) line.ways = [2, 3, 4];
    if (frames === 100) line.loseLane(3);
    // What was on its way on a lane that ends is lost with it.
    if (frames % 20 !== 0) deliver(frame);
  };
  await hurried(
    clock,
    transfer.fetchArtifact(artifact, never, () => undefined),
  );
  assert.equal(await digestOf(shelf.path(artifact.sha256)), artifact.sha256);
  assert.deepEqual([...new Set(line.asked.map(({ lane }) => lane))].sort(), [1, 2, 3, 4]);
  assert.ok(line.late.every((way) => way > 0));
});
