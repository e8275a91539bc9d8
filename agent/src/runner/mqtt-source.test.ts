import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MusterError } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { connectBroker } from "../adapters/mqtt-session.js";
import { MemoryAnswerer, MemorySink } from "../testing/memory-feeds.js";
import { RecordingClock } from "../testing/recording-clock.js";
import { TestBroker } from "../testing/test-broker.js";
import { MqttSource as MqttSettings } from "./feed-settings.js";
import { Intake } from "./intake.js";
import { MqttSource } from "./mqtt-source.js";
import { memoryLog, until } from "./testing.js";

async function camera(t: TestContext, changes: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const broker = new TestBroker(t);
  const settings = MqttSettings.parse({
    type: "mqtt",
    url: await broker.reserve(),
    topic: "in",
    model: "m",
    ...changes,
  });
  await broker.listen();
  const answerer = new MemoryAnswerer();
  const sink = new MemorySink();
  const log = memoryLog();
  const start = () => {
    const about = { type: "mqtt", target: "in", model: "m" };
    const intake = new Intake({ about, answerer, sinks: [sink], clock: systemClock, log });
    const clock = new RecordingClock(500);
    const deps = { settings, clientId: "device-1", intake, connect: connectBroker, env, clock };
    const source = new MqttSource(deps);
    t.after(() => source.close());
    return source;
  };
  const source = start();
  const texts = () => sink.records.map(({ text }) => text);
  return { broker, answerer, sink, log, source, start, texts };
}

const isRunning = (source: MqttSource) => until("it runs", () => source.status().state === "running");

/** Holds answers back until they are let go. */
function gate(answerer: MemoryAnswerer, isHeld: (text: string) => boolean) {
  const held: string[] = [];
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  answerer.before = async (text) => {
    if (!isHeld(text)) return;
    held.push(text);
    await opened;
  };
  return { held, open };
}

test("a message is acknowledged only once its answer is safe, and others are answered meanwhile", async (t) => {
  const { broker, answerer, sink, source, texts } = await camera(t);
  await isRunning(source);
  const { held, open } = gate(answerer, (text) => text === "slow");
  for (const text of ["slow", "quick", "bad"]) await broker.publish("in", text);
  await until("the others are acknowledged", () => broker.acknowledged.length === 2);
  assert.deepEqual([held, broker.acknowledged.sort()], [["slow"], ["bad", "quick"]]);
  const { syncs } = sink;
  assert.ok(syncs >= 1);
  open();
  await until("the slow one is acknowledged", () => broker.acknowledged.includes("slow"));
  assert.ok(sink.syncs > syncs);
  assert.deepEqual([texts(), source.status().failed], [["quick", "slow"], 1]);
});

test("no more messages are taken than can be worked on, and all are answered in the end", async (t) => {
  const { broker, answerer, source, texts } = await camera(t);
  await isRunning(source);
  const { held, open } = gate(answerer, () => true);
  for (let at = 0; at < 40; at += 1) await broker.publish("in", String(at));
  await until("hands are full", () => held.length === 8);
  open();
  await until("all are answered", () => texts().length === 40);
  await until("all are acknowledged", () => broker.acknowledged.length === 40);
  assert.equal(new Set(texts()).size, 40);
});

test("what was not answered when the connection broke comes again", async (t) => {
  const { broker, answerer, source, texts } = await camera(t);
  await isRunning(source);
  const { held, open } = gate(answerer, () => true);
  await broker.publish("in", "a");
  await until("it is in hand", () => held.length === 1);
  await broker.leave();
  await until("the loss is told", () => source.status().state === "failed");
  await broker.listen();
  await until("it came again", () => held.length === 2);
  open();
  await until("it is acknowledged", () => broker.acknowledged.includes("a"));
  assert.equal(new Set(texts()).size, 1);
});

test("what is published while the device is away waits with the broker, and what is done does not come again", async (t) => {
  const { broker, source, start, texts } = await camera(t);
  await isRunning(source);
  await broker.publish("in", "before");
  await until("it is answered", () => texts().length === 1);
  await source.close();
  for (const text of ["while", "away"]) await broker.publish("in", text);
  const again = start();
  await until("they are answered", () => texts().length === 3);
  await broker.publish("in", "after");
  await until("it is answered", () => texts().length === 4);
  assert.deepEqual(texts(), ["before", "while", "away", "after"]);
  await again.close();
});

test("a wrong password is told and never shown, and the right one is tried again by itself", async (t) => {
  const auth = { user: "camera", password: { env: "BROKER_PASSWORD" } };
  const { broker, source, log } = await camera(t, { auth }, { BROKER_PASSWORD: "hunter2" });
  broker.login = { user: "camera", password: "another" };
  await broker.leave();
  await broker.listen();
  await until("it is told", () => /[Nn]ot authorized/.test(source.status().lastError ?? ""));
  assert.equal(source.status().state, "failed");
  assert.doesNotMatch(JSON.stringify([source.status(), log.lines]), /hunter2/);
  broker.login = { user: "camera", password: "hunter2" };
  await isRunning(source);
});

test("while nothing can be answered for long, the connection is given up and the broker keeps the messages", async (t) => {
  const { broker, answerer, source, texts } = await camera(t);
  await isRunning(source);
  answerer.now = "not-serving";
  for (let at = 0; at < 12; at += 1) await broker.publish("in", String(at));
  await until("it has left", () => broker.clients === 0);
  assert.deepEqual([source.status().state, source.status().reason], ["waiting", "no version of m serves"]);
  await broker.publish("in", "12");
  answerer.now = "open";
  await until("all are answered", () => texts().length >= 13);
  await until("all are acknowledged", () => broker.acknowledged.length === 13);
  assert.deepEqual(
    texts(),
    Array.from({ length: 13 }, (_, at) => String(at)),
  );
});

test("a message is not acknowledged while its answer is not safe", async (t) => {
  const { broker, sink, source } = await camera(t);
  await isRunning(source);
  sink.trouble = new MusterError("sink/failed", "the disk is full");
  await broker.publish("in", "a");
  await until("it is told", () => source.status().lastError === "the disk is full");
  assert.deepEqual([sink.records.length, broker.acknowledged], [1, []]);
  sink.trouble = undefined;
  await until("it is acknowledged", () => broker.acknowledged.includes("a"));
  assert.equal(sink.records.length, 1);
});

test("messages of numbers are handed on as JSON", async (t) => {
  const { broker, answerer, source } = await camera(t, { payload: "json", qos: 0 });
  await isRunning(source);
  await broker.publish("in", "[1, 2]");
  await until("it is answered", () => source.status().taken === 1);
  assert.deepEqual(answerer.types, ["application/json"]);
});
