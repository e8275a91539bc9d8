import assert from "node:assert/strict";
import { test } from "node:test";
import { startFakeHub } from "../testing/fake-hub.js";
import { nowMs, runCliHere } from "../testing/run-cli.js";
import { sampleDrift, sampleLatency } from "../testing/samples.js";

test("latency is shown of the whole, and of every stage when asked", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/telemetry/latency": () => sampleLatency });
  const argv = ["telemetry", "latency", "--model-version", "1.0.0", "--last", "10min", "--hub", hub.url];
  const { out } = await runCliHere(argv);
  assert.deepEqual(hub.calls, ["GET /v1/telemetry/latency?version=1.0.0&lastMs=600000"]);
  assert.match(out, /cam-1 +defects 1\.0\.0 +cpu +1200 +3 +0 +12\.5 +8\.25 +12\.5 +20\.0 +ok 1100, scratch 100\n$/);
  const staged = (await runCliHere([...argv, "--stages"])).out.trimEnd().split("\n");
  assert.equal(staged.length, 3);
  assert.match(staged[2] ?? "", /^ +run +4\.50 +6\.00 +7\.00$/);
});

test("events are printed one per line, and followed from the last number on until Ctrl-C", async (t) => {
  const interrupt = new AbortController();
  const event = (id: number) => ({
    id,
    atMs: nowMs,
    device: "cam-1",
    kind: "trial.failed",
    fields: { code: "E_CRASH", of: "a b" },
  });
  const hub = await startFakeHub(t, {
    "GET /v1/telemetry/events": ({ query, before }) => {
      if (before === 3) interrupt.abort();
      if (query.after === undefined) return { events: [event(4), event(5)] };
      return { events: query.after === "5" ? [event(6)] : [] };
    },
  });
  const argv = ["telemetry", "events", "--kind", "trial.failed", "--hub", hub.url];
  const { out } = await runCliHere(argv);
  assert.match(out, /^\S+ \S+ cam-1 +trial\.failed code=E_CRASH of="a b"\n/);
  const followed = await runCliHere([...argv, "--follow", "--json"], { interrupt: interrupt.signal });
  assert.equal(followed.code, 130);
  assert.deepEqual(
    followed.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).id),
    [4, 5, 6],
  );
  assert.deepEqual(hub.calls.slice(1, 4), [
    "GET /v1/telemetry/events?kind=trial.failed",
    "GET /v1/telemetry/events?kind=trial.failed&after=5&limit=1000",
    "GET /v1/telemetry/events?kind=trial.failed&after=6&limit=1000",
  ]);
});

test("drifting features come first, then those nearest to their threshold", async (t) => {
  const hub = await startFakeHub(t, { "GET /v1/drift": () => sampleDrift });
  const { out } = await runCliHere(["drift", "--hub", hub.url]);
  const rows = out.trimEnd().split("\n").slice(1);
  assert.match(rows[0] ?? "", /^cam-2 .* brightness +1\.500 +0\.200 +500 +drifting +10 min ago$/);
  assert.match(rows[1] ?? "", /^cam-1 .* brightness +0\.050 +0\.200 +500 +ok +-$/);
  assert.match(rows[2] ?? "", /^cam-1 .* contrast +0\.010 +- +500 +too few inputs +-$/);
});

test("the hub's status names what it refused", async (t) => {
  const hub = await startFakeHub(t, {
    "GET /v1/status": () => ({
      version: "0.1.0",
      startedMs: nowMs - 60_000,
      devices: { total: 3, online: 2 },
      models: 1,
      activeRollouts: 0,
      storage: {
        artifacts: { blobs: 3, bytes: 12_000_000 },
        unknown: { blobs: 2, bytes: 2_000_000 },
        uploads: { blobs: 1, bytes: 500 },
      },
      mqttUrl: "mqtts://h:8883",
      enrolmentUrl: "https://h:7401",
      counters: { "message/invalid": 4, none: 0 },
    }),
  });
  const { out } = await runCliHere(["status", "--hub", hub.url]);
  assert.match(out, /devices +2 of 3 online\n/);
  assert.match(
    out,
    /storage +12\.0 MB of artifacts, 2\.0 MB of them in 2 files that the database does not know, 500 B of uploads not used yet\n/,
  );
  assert.match(out, /since the start:\nmessage\/invalid +4\n$/);
});
