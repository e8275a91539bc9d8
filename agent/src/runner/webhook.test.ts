import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { callHttp } from "../adapters/got-http.js";
import { RecordingClock } from "../testing/recording-clock.js";
import { recordOf } from "../testing/sink-contract.js";
import { WebhookServer } from "../testing/webhook-server.js";
import { AnswerSpool } from "./answer-spool.js";
import { WebhookSink } from "./feed-settings.js";
import { SpooledSink } from "./spooled-sink.js";
import { memoryLog, temporaryFolder, until } from "./testing.js";
import { Webhook } from "./webhook.js";

async function hook(t: TestContext, changes: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const server = new WebhookServer(t);
  const settings = WebhookSink.parse({ type: "webhook", url: await server.reserve(), ...changes });
  const folder = await temporaryFolder();
  const spool = await AnswerSpool.open(folder, settings);
  const log = memoryLog();
  const clock = new RecordingClock(50);
  const delivery = new Webhook({ settings, call: callHttp, env, clock });
  const sink = new SpooledSink({ settings, spool, delivery, clock, log });
  t.after(() => sink.close());
  return { server, sink, log, clock, folder };
}

test("a receiver that fails, hangs up and is killed in between gets every answer in the end", async (t) => {
  const { server, sink, log } = await hook(t, { batch: 2 });
  await server.listen();
  server.statuses.push(500, "hang-up", 503, 204, "hang-up", 429);
  for (let at = 0; at < 4; at += 1) sink.add(recordOf(at));
  await until("some have arrived", () => server.taken.length > 0);
  await server.leave();
  for (let at = 4; at < 8; at += 1) sink.add(recordOf(at));
  await until("the lack is told", () => /ECONNREFUSED/.test(sink.status().lastError ?? ""));
  assert.equal(sink.status().state, "failed");
  await server.listen();
  await until("all have arrived", () => sink.status().waiting === 0);
  const ids = server.taken.map(({ id }) => id);
  assert.deepEqual(
    [...new Set(ids)],
    Array.from({ length: 8 }, (_, at) => recordOf(at).id),
  );
  const { state, written, failed, dropped } = sink.status();
  assert.deepEqual([state, written, failed, dropped], ["running", 8, 0, 0]);
  assert.ok(log.events.includes("runner.sink.failed"));
});

test("a request is signed over its time and its very bytes, with the secret as it is then", async (t) => {
  const secretFile = join(await temporaryFolder(), "secret");
  await writeFile(secretFile, "first\n");
  const { server, sink } = await hook(
    t,
    { signWith: { file: secretFile }, auth: { user: "u", password: { env: "HOOK" } } },
    { HOOK: "p:é" },
  );
  await server.listen();
  const check = (secret: string) => {
    const { headers, body } = server.requests.at(-1) ?? {};
    const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers?.["muster-signature"])) ?? [];
    assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 600);
    assert.equal(signature, createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex"));
    assert.equal(headers?.authorization, `Basic ${Buffer.from("u:p:é").toString("base64")}`);
    assert.equal(headers?.["content-type"], "application/json");
  };
  sink.add(recordOf(1));
  await until("it arrives", () => sink.status().written === 1);
  check("first");
  await writeFile(secretFile, "second\n");
  sink.add(recordOf(2));
  await until("it arrives", () => sink.status().written === 2);
  check("second");
});

test("a secret that is not there is told by its name, and the answers wait for it", async (t) => {
  const { server, sink } = await hook(t, { auth: { token: { env: "NO_SUCH_TOKEN" } } });
  await server.listen();
  sink.add(recordOf(1));
  await until("it is told", () => /NO_SUCH_TOKEN/.test(sink.status().lastError ?? ""));
  assert.deepEqual([sink.status().state, sink.status().waiting, server.requests.length], ["failed", 1, 0]);
});

test("an answer that the receiver refuses for good is counted and costs only itself", async (t) => {
  const { server, sink } = await hook(t);
  server.judge = (records) => (records.some(({ atMs }) => atMs === 2) ? 422 : undefined);
  for (let at = 0; at < 5; at += 1) sink.add(recordOf(at));
  await sink.sync();
  await server.listen();
  await until("all are handed over", () => sink.status().waiting === 0);
  assert.deepEqual(
    server.taken.map(({ atMs }) => atMs),
    [0, 1, 3, 4],
  );
  assert.deepEqual([sink.status().written, sink.status().failed, sink.status().state], [4, 1, "running"]);
  assert.match(sink.status().lastError ?? "", /422/);
});

test("a receiver that asks to be left alone is, up to ten minutes; others are tried again at growing distance", async (t) => {
  const { server, sink, clock } = await hook(t);
  await server.listen();
  server.statuses.push(...Array<number>(10).fill(500));
  sink.add(recordOf(1));
  await until("it arrives", () => sink.status().written === 1);
  assert.equal(clock.sleepsMs.length, 10);
  assert.ok(clock.sleepsMs.every((ms, at) => ms >= 50 && ms <= Math.min(60_000, 500 * 2 ** at)));
  for (const [asked, sleptMs] of [
    ["7", 7000],
    ["100000", 600_000],
  ] as const) {
    server.retryAfter = asked;
    server.statuses.push(503);
    const { written } = sink.status();
    sink.add(recordOf(2));
    await until("it arrives", () => sink.status().written === written + 1);
    assert.equal(clock.sleepsMs.at(-1), sleptMs);
  }
});

test("when too many wait, it is full and keeps them all", async (t) => {
  const { sink } = await hook(t, { maxWaiting: 20 });
  for (let at = 0; at < 20; at += 1) {
    assert.equal(sink.full, false);
    sink.add(recordOf(at));
  }
  assert.equal(sink.full, true);
  await sink.sync();
  assert.deepEqual([sink.full, sink.status().waiting, sink.status().dropped], [true, 20, 0]);
});

test("when too many wait and it is told so, the oldest go and are counted", async (t) => {
  const { server, sink } = await hook(t, { maxWaiting: 20, whenFull: "drop-oldest" });
  for (let at = 0; at < 50; at += 1) {
    sink.add(recordOf(at));
    await sink.sync();
    assert.equal(sink.full, false);
  }
  const { waiting, dropped } = sink.status();
  assert.ok(waiting <= 20 && waiting >= 15, `${waiting} wait`);
  assert.equal(dropped, 50 - waiting);
  await server.listen();
  await until("the rest arrives", () => sink.status().waiting === 0);
  assert.deepEqual(
    server.taken.map(({ atMs }) => atMs),
    Array.from({ length: waiting }, (_, at) => dropped + at),
  );
});

test("while the disk takes nothing, answers wait in memory, and whoever asks for safety hears so", async (t) => {
  const { server, sink, folder } = await hook(t);
  await server.listen();
  await rm(folder, { recursive: true });
  sink.add(recordOf(1));
  await assert.rejects(sink.sync(), { code: "sink/failed", message: /cannot be kept: ENOENT/ });
  assert.deepEqual([sink.status().state, sink.status().waiting], ["failed", 1]);
  await mkdir(folder);
  await until("it arrives", () => sink.status().written === 1);
  assert.deepEqual([sink.status().waiting, sink.status().failed], [0, 0]);
  await sink.sync();
});
