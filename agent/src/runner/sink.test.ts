import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "@muster/shared/node";
import { callHttp } from "../adapters/got-http.js";
import { connectBroker } from "../adapters/mqtt-session.js";
import { type SinkUnderTest, sinkContract } from "../testing/sink-contract.js";
import { TestBroker } from "../testing/test-broker.js";
import { WebhookServer } from "../testing/webhook-server.js";
import { AnswerSpool } from "./answer-spool.js";
import { JsonLinesSink, MqttSink, WebhookSink } from "./feed-settings.js";
import { JsonlSink } from "./jsonl-sink.js";
import { MqttDelivery } from "./mqtt-delivery.js";
import type { SinkRecord } from "./sink.js";
import { SpooledSink } from "./spooled-sink.js";
import { memoryLog, temporaryFolder } from "./testing.js";
import { Webhook } from "./webhook.js";

const outside = { call: callHttp, connect: connectBroker, env: {}, clock: systemClock };
const clock = systemClock;

async function file(): Promise<SinkUnderTest> {
  const path = join(await temporaryFolder(), "answers.jsonl");
  return {
    start: () => new JsonlSink({ settings: JsonLinesSink.parse({ type: "jsonl", path }), clock, log: memoryLog() }),
    received: async () => {
      const text = await readFile(path, "utf8");
      return text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as SinkRecord);
    },
  };
}

async function webhook(t: TestContext): Promise<SinkUnderTest> {
  const folder = await temporaryFolder();
  const server = new WebhookServer(t);
  const settings = WebhookSink.parse({ type: "webhook", url: await server.reserve() });
  return {
    start: async () => {
      const spool = await AnswerSpool.open(folder, settings);
      return new SpooledSink({
        settings,
        spool,
        clock,
        log: memoryLog(),
        delivery: new Webhook({ settings, ...outside }),
      });
    },
    appear: () => server.listen(),
    received: () => server.taken,
  };
}

async function topic(t: TestContext): Promise<SinkUnderTest> {
  const folder = await temporaryFolder();
  const broker = new TestBroker(t);
  const settings = MqttSink.parse({ type: "mqtt", url: await broker.reserve(), topic: "answers/{model}" });
  return {
    start: async () => {
      const spool = await AnswerSpool.open(folder, settings);
      const delivery = new MqttDelivery({ settings, ...outside, clientId: "sink-1" });
      return new SpooledSink({ settings, spool, clock, log: memoryLog(), delivery });
    },
    appear: () => broker.listen(),
    received: () =>
      broker.published
        .filter(({ topic }) => topic === "answers/m")
        .map(({ payload }) => JSON.parse(payload) as SinkRecord),
  };
}

for (const [name, open] of Object.entries({ file, webhook, topic })) sinkContract(name, open);
