import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { callHttp } from "../adapters/got-http.js";
import { MemoryAnswerer, MemorySink } from "../testing/memory-feeds.js";
import { RecordingClock } from "../testing/recording-clock.js";
import { SnapshotServer } from "../testing/snapshot-server.js";
import { HttpSource as HttpSettings } from "./feed-settings.js";
import { HttpSource } from "./http-source.js";
import { Intake, maxInputBytes } from "./intake.js";
import { memoryLog, until } from "./testing.js";

async function camera(t: TestContext, changes: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const server = new SnapshotServer(t);
  const settings = HttpSettings.parse({
    type: "http",
    url: await server.reserve(),
    model: "m",
    everyMs: 20,
    ...changes,
  });
  await server.listen();
  const [answerer, sink, log, clock] = [new MemoryAnswerer(), new MemorySink(), memoryLog(), new RecordingClock(20)];
  const about = { type: "http", target: "camera", model: "m" };
  const intake = new Intake({ about, answerer, sinks: [sink], clock, log });
  const start = () => {
    const source = new HttpSource({ settings, intake, call: callHttp, env, clock });
    t.after(() => source.close());
    return source;
  };
  return { server, answerer, sink, log, clock, start };
}

test("a picture that did not change is asked for by its ETag and not answered again", async (t) => {
  const { server, sink, start } = await camera(t);
  server.show("one");
  const source = start();
  await until("it is answered", () => sink.records.length === 1);
  await until("it is asked for again", () => server.unchanged >= 3);
  const [first, second] = server.requests;
  assert.equal(first?.["if-none-match"], undefined);
  assert.match(second?.["if-none-match"] ?? "", /^"[0-9a-f]{40}"$/);
  server.show("two");
  await until("the new one is answered", () => sink.records.length === 2);
  assert.deepEqual([source.status().taken, source.status().state], [2, "running"]);
});

test("without an ETag the time of the picture serves", async (t) => {
  const { server, sink, start } = await camera(t);
  const modified = "Wed, 21 Oct 2026 07:28:00 GMT";
  server.instead = (request, response) => {
    const same = request.headers["if-modified-since"] === modified;
    response.writeHead(same ? 304 : 200, { "last-modified": modified }).end(same ? undefined : "one");
    return true;
  };
  start();
  await until("it is asked for again", () => server.requests.length >= 4);
  assert.equal(sink.records.length, 1);
});

test("a token is sent and shown nowhere; without the right one it is told what to look at", async (t) => {
  const { server, sink, log, start } = await camera(
    t,
    { auth: { token: { env: "CAMERA_TOKEN" } } },
    { CAMERA_TOKEN: "hunter2" },
  );
  let wanted = "Bearer another";
  server.instead = (request, response) => {
    if (request.headers.authorization === wanted) return false;
    response.writeHead(401).end();
    return true;
  };
  server.show("one");
  const source = start();
  await until("it is told", () => /401.*'auth'/.test(source.status().lastError ?? ""));
  assert.doesNotMatch(JSON.stringify([source.status(), log.lines]), /hunter2/);
  wanted = "Bearer hunter2";
  await until("the picture is answered", () => sink.records.length === 1);
});

test("a server that fails is asked less and less often, and as often as before once it is well", async (t) => {
  const { server, sink, clock, start } = await camera(t);
  server.instead = (_request, response) => {
    response.writeHead(500).end();
    return true;
  };
  const source = start();
  await until("it failed often", () => server.requests.length >= 12);
  assert.match(source.status().lastError ?? "", /500/);
  const failing = Math.max(...clock.sleepsMs);
  assert.ok(failing > 2000 && failing <= 60_000, `slept ${failing} ms at most`);
  server.instead = () => false;
  server.show("one");
  await until("it is answered", () => sink.records.length === 1);
  await until("it is asked for again", () => server.unchanged >= 3);
  assert.ok(clock.sleepsMs.slice(-2).every((ms) => ms <= 20));
});

test("a picture beyond the limit and a redirect are refused, and the source goes on", async (t) => {
  const { server, sink, start } = await camera(t);
  server.show(Buffer.alloc(maxInputBytes + 1));
  const source = start();
  await until("it is told", () => /more than \d+ bytes/.test(source.status().lastError ?? ""));
  server.instead = (_request, response) => {
    response.writeHead(301, { location: "http://elsewhere/" }).end();
    return true;
  };
  await until("it is told", () => /sends elsewhere; put the address itself/.test(source.status().lastError ?? ""));
  server.instead = () => false;
  server.show("one");
  await until("it is answered", () => sink.records.length === 1);
});
