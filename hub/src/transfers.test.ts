import assert from "node:assert/strict";
import { test } from "node:test";
import { ChunkReply, decode, decodeFrame, sha256, type Wanted } from "@muster/shared";
import { MemoryBlobs } from "@muster/shared/testing";
import { desiredOf, encodingsOf, RecordedLink, rooms, silent, storeVersion } from "./testing/hub-rooms.js";
import { Transfers } from "./transfers.js";

const secret = Buffer.from("weights that only some devices may have");
const manifest = "1".repeat(64);

/** Device `a` is wanted version 1; the store holds a blob named like its manifest, and one nobody is wanted. */
async function bench(deviceBytesPerSecond = 0, totalBytesPerSecond = 0) {
  const { db, clock, devices } = await rooms();
  const link = new RecordedLink();
  const artifacts = new MemoryBlobs();
  const { encodings, entitlement } = encodingsOf(db, clock, devices, artifacts);
  await storeVersion(db, 1);
  async function* bytes() {
    yield secret;
  }
  await artifacts.write(sha256(secret), bytes(), 1000);
  const { desired } = await desiredOf({ db, clock, devices }, link, 600_000);
  const want = (version: string, digest: string): Wanted => ({
    model: "m",
    version,
    attempt: "r.0",
    probationMs: 0,
    manifest: { sha256: digest, sizeBytes: 5 },
  });
  const transfers = new Transfers({
    artifacts,
    entitlement,
    encodings,
    devices,
    link,
    clock,
    settings: { log: silent, deviceBytesPerSecond, totalBytesPerSecond },
  });
  const ask = async (device: string, blob: string, ranges: [number, number][] = [[0, 10]]) => {
    link.sent.length = 0;
    await transfers.answer(device, { transfer: 7, request: 3, blob, ranges });
    return link.sent.map(({ kind, payload }) =>
      kind === "chunk" ? decodeFrame(payload) : decode(ChunkReply, payload, "reply").error,
    );
  };
  return { desired, want, ask, transfers, clock, link };
}

test("a device gets the ranges it asks for of what it is wanted to run, in order", async () => {
  const { desired, want, ask } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  const frames = await ask("a", sha256(secret), [
    [0, 10],
    [20, 5],
  ]);
  assert.deepEqual(
    frames.map((frame) =>
      typeof frame === "string" ? frame : [frame.transfer, frame.request, frame.offset, frame.bytes.toString()],
    ),
    [
      [7, 3, 0, secret.toString("utf8", 0, 10)],
      [7, 3, 20, secret.toString("utf8", 20, 25)],
    ],
  );
});

test("a device gets nothing that it is not wanted to run, and loses what is withdrawn", async () => {
  const { desired, want, ask, transfers, clock } = await bench();
  assert.deepEqual(await ask("a", sha256(secret)), ["denied"]);
  await desired.want("a", "m", want("1", sha256(secret)));
  assert.deepEqual(await ask("b", sha256(secret)), ["denied"]);
  assert.equal(typeof (await ask("a", sha256(secret)))[0], "object");
  await desired.want("a", "m", undefined);
  clock.advance(1000);
  assert.deepEqual(await ask("a", sha256(secret)), ["superseded"]);
  assert.equal(transfers.refused, 3);
});

test("a blob that is gone, and a range beyond a blob, are named", async () => {
  const { desired, want, ask } = await bench();
  await desired.want("a", "m", want("1", manifest));
  assert.deepEqual(await ask("a", manifest), ["gone"]);
  assert.deepEqual(await ask("a", "d".repeat(64)), ["gone"], "an artifact that the wanted manifest names");
  await desired.want("a", "m", want("1", sha256(secret)));
  assert.deepEqual(await ask("a", sha256(secret), [[secret.length - 5, 6]]), ["range"]);
});

test("a device that asks faster than it is answered is told to come back", async () => {
  const { desired, want, transfers } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  const before = transfers.refused;
  const requests = Array.from({ length: 40 }, (_, request) =>
    transfers.answer("a", { transfer: request, request, blob: sha256(secret), ranges: [[0, 1]] }),
  );
  await Promise.all(requests);
  assert.equal(transfers.refused - before, 40 - 17);
});

test("what a device asks for again while it still waits is sent once", async () => {
  const { desired, want, transfers, link } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  link.sent.length = 0;
  const ask = (request: number, ...offsets: number[]) => {
    const ranges = offsets.map((offset): [number, number] => [offset, 2]);
    return transfers.answer("a", { transfer: 1, request, blob: sha256(secret), ranges });
  };
  // The first is being answered when the others come.
  await Promise.all([ask(1, 0), ask(2, 2, 4), ask(3, 4, 6), ask(4, 2)]);
  const sent = link.sent.filter(({ kind }) => kind === "chunk").map(({ payload }) => decodeFrame(payload));
  assert.deepEqual(
    sent.map(({ request, offset }) => [request, offset]),
    [
      [1, 0],
      [3, 4],
      [3, 6],
      [4, 2],
    ],
  );
});

test("a time of day that is set back or forward neither holds a paced device nor lets it keep what was withdrawn", async () => {
  const { desired, want, ask, clock } = await bench(10);
  await desired.want("a", "m", want("1", sha256(secret)));
  const asked = async () => {
    let over = false;
    const frames = ask("a", sha256(secret)).finally(() => {
      over = true;
    });
    const beforeMs = clock.steady();
    while (!over) {
      clock.advance(100);
      await new Promise(setImmediate);
    }
    return { frames: await frames, tookMs: clock.steady() - beforeMs };
  };
  for (const jumpMs of [0, -5 * 3_600_000, 10 * 3_600_000]) {
    clock.jump(jumpMs);
    const { frames, tookMs } = await asked();
    assert.equal(typeof frames[0], "object");
    assert.ok(tookMs < 60_000, `it took ${tookMs} ms after a jump of ${jumpMs} ms`);
  }
  await desired.want("a", "m", undefined);
  clock.jump(-5 * 3_600_000);
  clock.advance(1000);
  assert.deepEqual((await asked()).frames, ["superseded"]);
});

test("under a limit for all, a device that asks for little is not held up by one that asks for much", async () => {
  const { desired, want, transfers, clock, link } = await bench(0, 2000);
  for (const device of ["a", "b"]) await desired.want(device, "m", want("1", sha256(secret)));
  const request = (device: string, number: number, count: number) =>
    transfers.answer(device, {
      ...{ transfer: 1, request: number, blob: sha256(secret) },
      ranges: Array.from({ length: count }, (): [number, number] => [0, 20]),
    });
  const frames = () => link.sent.filter(({ kind }) => kind === "chunk").map(({ device }) => device);
  const much = Promise.all(Array.from({ length: 16 }, (_, number) => request("a", number, 128)));
  while (frames().length < 20) {
    clock.advance(5);
    await new Promise(setImmediate);
  }
  const before = frames().length;
  let over = false;
  const little = request("b", 1, 10).finally(() => {
    over = true;
  });
  while (!over) {
    clock.advance(5);
    await new Promise(setImmediate);
  }
  await little;
  const others = frames()
    .slice(before)
    .filter((device) => device === "a").length;
  assert.ok(others <= 10 + 3, `a was sent ${others} chunks while b was sent its 10`);
  const rate = link.sent.reduce((sum, { kind, payload }) => sum + (kind === "chunk" ? payload.length : 0), 0);
  assert.ok(rate <= (2000 * clock.steady()) / 1000 + 200, `${rate} bytes in ${clock.steady()} ms`);
  link.gone.add("a");
  clock.advance(60_000);
  await much;
});

test("what is asked for on lanes goes there, and one that stands still holds up neither the others nor the device", async () => {
  const { desired, want, transfers, link } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  link.sent.length = 0;
  let release: () => void = () => undefined;
  link.held.set(
    1,
    new Promise((resolve) => {
      release = resolve;
    }),
  );
  const ask = (request: number, lane?: number) =>
    transfers.answer("a", {
      ...{ transfer: 1, request, blob: sha256(secret), ranges: [[request, 1] as [number, number]] },
      ...(lane === undefined ? {} : { lane }),
    });
  const frozen = [ask(1, 1), ask(2, 1)];
  await Promise.all([ask(3, 2), ask(4), ask(5, 3)]);
  const lanesOf = () => link.sent.filter(({ kind }) => kind === "chunk").map(({ lane }) => lane ?? 0);
  assert.deepEqual(lanesOf().sort(), [0, 2, 3]);
  const before = transfers.refused;
  await Promise.all(Array.from({ length: 16 }, (_, at) => ask(10 + at, 1)));
  assert.equal(transfers.refused - before, 1, "a lane has a line of its own");
  await ask(6, 2);
  release();
  await Promise.all(frozen);
  assert.equal(lanesOf().filter((lane) => lane === 1).length, 17);
});

test("a lane that this link does not know is none: the frames come by the device's own connection", async () => {
  const { desired, want, transfers, link } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  link.sent.length = 0;
  await transfers.answer("a", { transfer: 1, request: 1, lane: 9, blob: sha256(secret), ranges: [[0, 1]] });
  assert.deepEqual(
    link.sent.map(({ kind, lane }) => [kind, lane]),
    [["chunk", undefined]],
  );
});

test("what is asked for again on another lane is sent there and no more on the first", async () => {
  const { desired, want, transfers, link } = await bench();
  await desired.want("a", "m", want("1", sha256(secret)));
  link.sent.length = 0;
  const ask = (request: number, lane: number, offset: number) =>
    transfers.answer("a", { transfer: 1, request, lane, blob: sha256(secret), ranges: [[offset, 2]] });
  await Promise.all([ask(1, 1, 0), ask(2, 1, 2), ask(3, 2, 2)]);
  const sent = link.sent.map(({ payload, lane }) => [decodeFrame(payload).request, lane]);
  assert.deepEqual(sent.sort(), [
    [1, 1],
    [3, 2],
  ]);
});

test("the pace of a device holds for all its lanes together", async () => {
  const { desired, want, transfers, clock } = await bench(100);
  await desired.want("a", "m", want("1", sha256(secret)));
  let over = 0;
  const asked = [0, 1, 2, 3].map((lane) =>
    transfers
      .answer("a", {
        ...{ transfer: 1, request: lane, blob: sha256(secret), ranges: [[lane, 1] as [number, number]] },
        ...(lane === 0 ? {} : { lane }),
      })
      .finally(() => {
        over += 1;
      }),
  );
  const beginMs = clock.steady();
  while (over < asked.length) {
    clock.advance(10);
    await new Promise(setImmediate);
  }
  // Four frames of 25 bytes; the first goes at once.
  assert.ok(clock.steady() - beginMs >= 740, `${clock.steady() - beginMs} ms`);
});
