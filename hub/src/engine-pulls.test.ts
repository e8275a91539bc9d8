import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import {
  type ChunkFrame,
  decode,
  downTopic,
  encode,
  encodeFrame,
  MusterError,
  maxUploadBytes,
  UploadCommand,
  upTopic,
} from "@muster/shared";
import { FakeClock, seededRandom } from "@muster/shared/testing";
import { bench, client, connected } from "./adapters/testing/broker-bench.js";
import { EnginePulls } from "./engine-pulls.js";

const artifact = "a".repeat(64);
const name = "graph_1.engine";
const never = new AbortController().signal;

/** A device that holds a file, and does with each frame of it as it is told. */
function device(
  bytes: Buffer,
  onFrame: (frame: Buffer, take: (payload: Buffer) => void) => void,
  brokerElsewhere = false,
) {
  const clock = new FakeClock();
  const asked: UploadCommand[] = [];
  const state = { connected: true };
  const pulls = new EnginePulls({
    ...{ clock, brokerElsewhere },
    link: {
      send: async (id, kind, payload) => {
        if (!state.connected) throw new MusterError("link/closed", `device ${id} is not connected`);
        assert.equal(kind, "command");
        const command = decode(UploadCommand, payload, "upload command");
        asked.push(command);
        for (const frame of framesOf(command, bytes)) onFrame(encodeFrame(frame), (each) => pulls.take(id, each));
      },
    },
  });
  /** Reads the file while time passes as often as the pull waits for it. */
  const read = async (sizeBytes = bytes.length, signal = never) => {
    const parts: Buffer[] = [];
    let over = false;
    const reading = (async () => {
      for await (const part of pulls.read("d", { artifact, name, sizeBytes }, signal)) parts.push(part);
    })().finally(() => {
      over = true;
    });
    const time = (async () => {
      while (!over) {
        await new Promise(setImmediate);
        clock.advance(10_000);
      }
    })();
    await Promise.all([reading, time]);
    return Buffer.concat(parts);
  };
  return { clock, pulls, asked, state, read };
}

function framesOf({ transfer, request, ranges }: UploadCommand, bytes: Buffer): ChunkFrame[] {
  return ranges.map(([offset, length]) => {
    return { transfer, request, offset, bytes: bytes.subarray(offset, offset + length) };
  });
}

test("a file comes whole over a link that loses, doubles and turns around what is sent", async () => {
  const bytes = randomBytes(2 * maxUploadBytes + 70_001);
  const random = seededRandom(7);
  const late: Buffer[] = [];
  const { read, pulls, asked } = device(bytes, (frame, take) => {
    const luck = random();
    if (luck < 0.2) return;
    if (luck < 0.5) return late.push(frame);
    take(frame);
    if (luck > 0.8) take(frame);
    for (const waiting of late.splice(0).reverse()) take(waiting);
  });
  assert.ok((await read()).equals(bytes));
  assert.ok(asked.length > 3, "what was lost was asked for again");
  assert.ok((pulls.counters()["engine-frames-dropped"] ?? 0) > 0, "what came twice was counted");
  const largest = Math.max(...asked.map(({ ranges }) => ranges.reduce((sum, [, length]) => sum + length, 0)));
  assert.equal(largest, maxUploadBytes, "no more is on its way, and in memory, than a window");
});

test("an empty window at the end is not asked for, and only what is missing is asked for again", async () => {
  const bytes = randomBytes(maxUploadBytes);
  let lost = 0;
  const { read, asked } = device(bytes, (frame, take) => {
    lost += 1;
    if (lost !== 3) take(frame);
  });
  assert.ok((await read()).equals(bytes));
  assert.deepEqual(
    asked.map(({ ranges }) => ranges.length),
    [16, 1],
  );
});

test("a device that falls silent is asked four times and then given up, wherever in the file that is", async () => {
  let frames = 0;
  const { read, asked } = device(randomBytes(3 * maxUploadBytes), (frame, take) => {
    frames += 1;
    if (frames <= 20) take(frame);
  });
  await assert.rejects(read(), { code: "transfer/stalled", message: /d sent nothing of its engine for 40 s/ });
  assert.equal(asked.length, 1 + 1 + 4, "a window, what came of the next, and four times nothing");
});

test("a slow line on which only late and double frames come for a while is not given up", async () => {
  const waiting: Buffer[] = [];
  const bytes = randomBytes(3 * 65_536);
  // Each request finds the answers to those before still on their way.
  const { read, asked, pulls } = device(bytes, (frame, take) => {
    waiting.push(frame);
    const first = waiting[0] ?? frame;
    take(first);
    if (asked.length > 6) take(frame);
  });
  assert.ok((await read()).equals(bytes));
  assert.ok(asked.length > 6, "six times nothing new came");
  assert.ok((pulls.counters()["engine-frames-dropped"] ?? 0) > 4);
});

test("a device that sends a little now and then is given up when five minutes have not filled a window", async () => {
  let first: Buffer | undefined;
  const double = device(randomBytes(3 * 65_536), (frame, take) => {
    first ??= frame;
    take(first);
  });
  await assert.rejects(double.read(), {
    code: "transfer/stalled",
    message: /d sent only 65\.5 KB of 197 KB in 300 s; share it from a device with a faster line/,
  });
  assert.ok(double.asked.length <= 31, `${double.asked.length} times`);
});

test("where nothing at all comes through a broker elsewhere, its rules are named as what may be missing", async () => {
  const mute = (elsewhere: boolean) => device(randomBytes(100), () => undefined, elsewhere).read();
  await assert.rejects(mute(true), {
    code: "transfer/stalled",
    message: /lack the topic 'upload': muster broker-config/,
  });
  await assert.rejects(mute(false), (error: Error) => !error.message.includes("broker-config"));
});

test("a device that is not there is told at once; one that goes away and comes back is asked on", async () => {
  const bytes = randomBytes(2 * maxUploadBytes);
  const away = device(bytes, (frame, take) => take(frame));
  away.state.connected = false;
  await assert.rejects(away.read(), { code: "link/closed" });
  assert.equal(away.asked.length, 0);

  let frames = 0;
  const back = device(bytes, (frame, take) => {
    frames += 1;
    if (frames === 8) back.state.connected = false;
    if (back.state.connected) take(frame);
  });
  const sleep = back.clock.sleep.bind(back.clock);
  let waits = 0;
  back.clock.sleep = (ms, signal) => {
    waits += 1;
    if (waits > 2) back.state.connected = true;
    return sleep(ms, signal);
  };
  assert.ok((await back.read()).equals(bytes));
});

test("a refusal ends it with its reason, an abort with its own", async () => {
  const refusing = (error: string) =>
    device(randomBytes(100), (frame, take) =>
      take(encode({ transfer: frame.readUInt32BE(4), request: frame.readUInt32BE(8), error })),
    );
  const gone = /does not have this engine any more/;
  await assert.rejects(refusing("gone").read(), { code: "transfer/refused", message: gone });
  await assert.rejects(refusing("range").read(), { code: "transfer/refused", message: /less of this file/ });
  const silent = device(randomBytes(100), () => undefined);
  const reason = new Error("the hub is being stopped");
  await assert.rejects(silent.read(100, AbortSignal.abort(reason)), reason);
  const later = new AbortController();
  const ending = device(randomBytes(100), () => later.abort(reason));
  await assert.rejects(ending.read(100, later.signal), reason);
});

test("what nobody asked for is dropped and counted, and cannot get into a file", async () => {
  const bytes = randomBytes(100_000);
  const forged = (frame: Buffer, change: (copy: Buffer) => void) => {
    const copy = Buffer.from(frame).fill(0, 24);
    change(copy);
    return copy;
  };
  const { read, pulls } = device(bytes, (frame, take) => {
    take(forged(frame, (copy) => copy.writeUInt32BE((frame.readUInt32BE(4) + 1) % 2 ** 32, 4)));
    take(forged(frame, (copy) => copy.writeUInt32BE(7, 16)));
    take(forged(frame, (copy) => copy.writeUInt8(1, 3)));
    take(encode({ transfer: 1, request: 0, error: "gone" }));
    assert.throws(() => take(frame.subarray(0, 30)), { code: "frame/invalid" });
    assert.throws(() => take(Buffer.from("{}")), { code: "message/invalid" });
    pulls.take("stranger", frame);
    take(frame);
  });
  assert.ok((await read()).equals(bytes));
  assert.equal(pulls.counters()["engine-frames-dropped"], 2 * 5);
  pulls.take("d", Buffer.from("anything, after the end"));
  assert.equal(pulls.counters()["engine-frames-dropped"], 2 * 5 + 1);
});

test("over a real broker: the command reaches the device, and its frames the pull", async (t) => {
  const bytes = randomBytes(maxUploadBytes + 5);
  const broker = await bench(t);
  const agent = await client(t, broker, "cam-1");
  assert.equal(await connected(agent), "connected");
  await agent.subscribeAsync(downTopic("cam-1", "command"), { qos: 1 });
  agent.on("message", (_topic, payload) => {
    for (const frame of framesOf(decode(UploadCommand, payload, "command"), bytes))
      agent.publish(upTopic("cam-1", "upload"), encodeFrame(frame));
  });
  const pulls = new EnginePulls({ clock: new FakeClock(), link: broker.link });
  const hearing = setInterval(() => {
    for (const { device, kind, payload } of broker.heard.splice(0)) if (kind === "upload") pulls.take(device, payload);
  }, 1);
  t.after(() => clearInterval(hearing));
  const parts: Buffer[] = [];
  for await (const part of pulls.read("cam-1", { artifact, name, sizeBytes: bytes.length }, never)) parts.push(part);
  assert.ok(Buffer.concat(parts).equals(bytes));
  await assert.rejects(pulls.read("cam-2", { artifact, name, sizeBytes: 1 }, never).next(), { code: "link/closed" });
});
