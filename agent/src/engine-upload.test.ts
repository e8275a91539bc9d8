import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { decode, decodeFrame, UploadCommand, UploadRefusal } from "@muster/shared";
import { EngineUpload } from "./engine-upload.js";
import { memoryLog, temporaryFolder, until } from "./runner/testing.js";

const artifact = "a".repeat(64);
const bytes = randomBytes(300_000);

/** A device that tells of one file, which `size` may claim to be of another length; its link is held until `release`. */
async function bench({ sizeBytes = bytes.length, held = false } = {}) {
  const path = join(await temporaryFolder(), "graph.engine");
  await writeFile(path, bytes);
  const sent: Buffer[] = [];
  let release: () => void = () => undefined;
  const released = held ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();
  let connected = true;
  let frames = 0;
  const log = memoryLog();
  const upload = new EngineUpload({
    engines: {
      find: async (asked, name) =>
        asked === artifact && name === "graph.engine" ? { name, path, sizeBytes, changedMs: 0 } : undefined,
    },
    send: async (payload) => {
      frames += 1;
      await released;
      if (!connected) throw new Error("there is no connection now");
      sent.push(payload);
    },
    log,
  });
  const ask = (request: number, ranges: [number, number][], { file = "graph.engine", transfer = 7 } = {}) =>
    upload.take(UploadCommand.parse({ type: "upload", transfer, request, artifact, file, ranges }));
  const refusals = () => sent.map((payload) => decode(UploadRefusal, payload, "refusal"));
  const connect = (yes: boolean) => {
    connected = yes;
  };
  return { upload, ask, asked: () => frames, sent, log, release, refusals, connect };
}

test("the ranges that are asked for come as frames of the command, in their order", async () => {
  const { ask, sent } = await bench();
  ask(3, [
    [0, 100_000],
    [299_999, 1],
  ]);
  await until("both are sent", () => sent.length === 2);
  assert.deepEqual(
    sent.map((payload) => decodeFrame(payload)),
    [
      { transfer: 7, request: 3, offset: 0, bytes: bytes.subarray(0, 100_000) },
      { transfer: 7, request: 3, offset: 299_999, bytes: bytes.subarray(299_999) },
    ],
  );
});

test("a range beyond the file, and a file that is not told of, are refused and nothing is sent of them", async () => {
  const { ask, sent, refusals } = await bench();
  ask(1, [
    [0, 10],
    [299_999, 2],
  ]);
  ask(2, [[0, 1]], { file: "other.engine" });
  await until("both are refused", () => sent.length === 2);
  assert.deepEqual(refusals(), [
    { transfer: 7, request: 1, error: "range" },
    { transfer: 7, request: 2, error: "gone" },
  ]);
});

test("a newer command for a file takes the place of those that wait, and the one at work stops after a frame", async () => {
  const { ask, asked, sent, release } = await bench({ held: true });
  for (let request = 0; request < 9; request += 1) {
    ask(request, [
      [0, 10],
      [10, 10],
      [20, 10],
    ]);
    // The first one is at its first frame by the time that the others come.
    if (request === 0) await until("it is at work", () => asked() > 0);
  }
  ask(9, [[30, 1]], { transfer: 8 });
  release();
  await until("the last is sent", () => sent.some((payload) => decodeFrame(payload).request === 9));
  assert.deepEqual(
    sent.map((payload) => decodeFrame(payload)).map(({ request, offset }) => [request, offset]),
    [
      [0, 0],
      [8, 0],
      [8, 10],
      [8, 20],
      [9, 30],
    ],
  );
});

test("a file that has become shorter than it was told is gone", async () => {
  const { ask, sent, refusals } = await bench({ sizeBytes: bytes.length + 10 });
  ask(1, [[bytes.length, 10]]);
  await until("it is refused", () => sent.length === 1);
  assert.deepEqual(refusals(), [{ transfer: 7, request: 1, error: "gone" }]);
});

test("one command is worked on, four wait, and more are dropped and counted", async () => {
  const { ask, sent, log, release } = await bench({ held: true });
  for (let request = 0; request < 7; request += 1) ask(request, [[request, 1]], { transfer: request });
  release();
  await until("what was taken is sent", () => sent.length === 5);
  assert.deepEqual(
    sent.map((payload) => decodeFrame(payload).request),
    [0, 1, 2, 3, 4],
  );
  assert.deepEqual(
    log.lines.flatMap(({ dropped }) => dropped ?? []),
    [1, 2],
  );
});

test("without a connection the command is given up, and the next one is answered; closing drops what waits", async () => {
  const { upload, ask, sent, connect } = await bench();
  connect(false);
  ask(1, [[0, 1]]);
  ask(2, [[0, 1]], { transfer: 8 });
  await upload.close();
  assert.deepEqual(sent, []);
  connect(true);
  ask(3, [[0, 1]]);
  await until("it is sent", () => sent.length === 1);
  assert.deepEqual(
    sent.map((payload) => decodeFrame(payload).request),
    [3],
  );
});
