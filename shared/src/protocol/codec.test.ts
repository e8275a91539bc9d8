import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../ids.js";
import { ChunkRequest, maxRequestRanges } from "./chunk-messages.js";
import { decode, encode } from "./codec.js";
import { Command, EventBatch, Reported, Window } from "./messages.js";

const refused = (act: () => unknown, message: RegExp) => assert.throws(act, { code: "message/invalid", message });

test("a message is read back as it was written", () => {
  const command = { type: "ack", stream: "12345678", of: "events", seq: 7 } as const;
  assert.deepEqual(decode(Command, encode(command), "command"), command);
});

test("what is no JSON, or has not the shape, is told by its name and its fields", () => {
  refused(() => decode(Command, Buffer.from("{"), "command"), /command is not JSON/);
  refused(() => decode(Command, Buffer.alloc(0), "command"), /command is not JSON/);
  refused(() => decode(Command, Buffer.from([0xff, 0xfe]), "command"), /command is not JSON/);
  refused(() => decode(Command, encode({ type: "dance" }), "command"), /command does not fit:\n {2}type: /);
  refused(() => decode(EventBatch, encode({ stream: "12345678", events: [{}] }), "batch"), /events\[0\]\.seq/);
});

test("a newer speaker may say more; what is not known is dropped", () => {
  assert.deepEqual(decode(Command, encode({ type: "resync", why: "because" }), "command"), { type: "resync" });
});

const request = { transfer: 1, request: 1, blob: sha256("x"), ranges: [[0, 1000]] };

test("a request for chunks cannot ask for more than a window", () => {
  assert.deepEqual(decode(ChunkRequest, encode(request), "request"), request);
  const asking = (ranges: unknown) => encode({ ...request, ranges });
  const many = Array.from({ length: maxRequestRanges + 1 }, () => [0, 1]);
  refused(() => decode(ChunkRequest, asking(many), "request"), /ranges/);
  refused(() => decode(ChunkRequest, asking(new Array(17).fill([0, 262_144])), "request"), /more than 4 MiB/);
  decode(ChunkRequest, asking(new Array(16).fill([0, 262_144])), "request");
  for (const bad of [[], [[0, 0]], [[-1, 5]], [[0, 262_145]], [[0.5, 1]], [[0]], "all"]) {
    refused(() => decode(ChunkRequest, asking(bad), "request"), /ranges/);
  }
  refused(() => decode(ChunkRequest, encode({ ...request, blob: "../secret" }), "request"), /blob/);
});

test("everything a device can grow has a cap", () => {
  const event = { seq: 1, atMs: 0, kind: "agent.started", fields: {} };
  refused(
    () => decode(EventBatch, encode({ stream: "12345678", events: new Array(101).fill(event) }), "batch"),
    /events/,
  );
  const window = {
    seq: 1,
    startMs: 0,
    endMs: 1,
    model: "defects",
    version: "1",
    manifest: sha256("m"),
    provider: "cpu",
    inputs: 0,
    errors: 0,
    dropped: 0,
    classes: {},
    stages: {},
    features: { brightness: new Array(1001).fill(0) },
    rssBytes: 0,
  };
  refused(() => decode(Window, encode(window), "window"), /features\.brightness/);
  const reported = { seq: 1, bootId: "b", revision: 0, spool: { windows: 0, events: 0, dropped: 0 } };
  const runner = { state: "down", restarts: 0 };
  const models = new Array(65).fill({ model: "defects", finished: [] });
  refused(() => decode(Reported, encode({ ...reported, runner, models }), "report"), /models/);
});
