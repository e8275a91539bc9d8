import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChunkFrame, type ChunkReply, encode, encodeFrame, type Log, type UploadCommand } from "@muster/shared";
import { FakeClock } from "@muster/shared/testing";
import type { LinkHandlers } from "./ports.js";
import { MemorySpool } from "./testing/memory-spool.js";
import { Uplink } from "./uplink.js";

/** An uplink with one transfer, and what reaches that. */
function bench() {
  const told: string[] = [];
  const sent: string[] = [];
  const uploads: UploadCommand[] = [];
  const nothing = () => undefined;
  const log: Log = { debug: nothing, info: nothing, warn: (event) => told.push(event), error: nothing };
  let handlers: LinkHandlers | undefined;
  const spool = () => new MemorySpool<never>({ stream: "s", records: [] }, 10);
  const uplink = new Uplink({
    open: (given) => {
      handlers = given;
      return {
        connected: true,
        send: async (kind) => {
          sent.push(kind);
        },
        reconnect: async () => undefined,
        close: async () => undefined,
      };
    },
    ...{ events: spool(), windows: spool(), clock: new FakeClock(), log },
    say: {
      hello: async () => ({}) as never,
      reported: async () => ({}) as never,
      desired: nothing,
      upload: (command) => uploads.push(command),
      renewal: nothing,
    },
  });
  uplink.start();
  const frames: ChunkFrame[] = [];
  const replies: ChunkReply[] = [];
  const stop = uplink.listen(7, {
    onFrame: (frame) => frames.push(frame),
    onReply: (reply) => replies.push(reply),
    ...{ onConnection: nothing, onLaneLost: nothing, leftBytes: () => 0 },
  });
  const arrive = (kind: "chunk" | "reply" | "command", payload: Buffer) => handlers?.onMessage(kind, payload);
  return { uplink, arrive, frames, replies, told, sent, uploads, stop };
}

const frame = (transfer: number) => encodeFrame({ transfer, request: 1, offset: 5, bytes: Buffer.from("bytes") });

test("frames and replies reach the transfer whose number they bear, and after its end nobody", () => {
  const { arrive, frames, replies, told, stop } = bench();
  for (const transfer of [6, 7, 8]) {
    arrive("chunk", frame(transfer));
    arrive("reply", encode({ transfer, request: 1, error: "busy" }));
  }
  stop();
  arrive("chunk", frame(7));
  assert.deepEqual([frames.map(({ transfer }) => transfer), replies.map(({ transfer }) => transfer)], [[7], [7]]);
  assert.deepEqual(told, []);
});

test("a frame whose header is damaged, whose length is wrong, or that is none, reaches nobody and is told", () => {
  const { arrive, frames, told } = bench();
  const whole = frame(7);
  const bad = [
    ...[0, 2, 3, 12, 20].map((at) => {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0xff, at);
      return damaged;
    }),
    ...[whole.subarray(0, -1), Buffer.concat([whole, whole]), whole.subarray(0, 10), Buffer.alloc(0)],
  ];
  for (const damaged of bad) arrive("chunk", damaged);
  arrive("reply", Buffer.from("{"));
  assert.deepEqual(frames, []);
  assert.equal(told.length, bad.length + 1);
  arrive("chunk", whole);
  assert.equal(frames.length, 1);
});

test("asked for a hello by a hub that may have missed it, the device says it again", async () => {
  const { arrive, sent, told } = bench();
  arrive("command", encode({ type: "hello" }));
  while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([sent, told], [["hello"], []]);
});

test("a command for parts of an engine is handed on, unless it asks for what none may; parts go by a topic of their own", async () => {
  const { uplink, arrive, sent, uploads, told } = bench();
  const command: UploadCommand = {
    ...{ type: "upload", transfer: 1, request: 2, artifact: "a".repeat(64), file: "graph.engine" },
    ranges: [[0, 1000]],
  };
  arrive("command", encode(command));
  assert.deepEqual(uploads, [command]);
  for (const bad of [{ file: "../state.json" }, { ranges: [] }, { ranges: [[0, 300_000]] }, { artifact: "a" }])
    arrive("command", encode({ ...command, ...bad }));
  assert.deepEqual([uploads.length, told.length], [1, 4]);
  await uplink.upload(Buffer.from("part"));
  assert.deepEqual(sent, ["upload"]);
});
