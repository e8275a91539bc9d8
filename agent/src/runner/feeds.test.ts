import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SnapshotServer } from "../testing/snapshot-server.js";
import { TestBroker } from "../testing/test-broker.js";
import { WebhookServer } from "../testing/webhook-server.js";
import type { SinkRecord } from "./sink.js";
import { makeManifest, picture, serve, slotOf, startRunner, temporaryFolder, until } from "./testing.js";
import { signatureOf } from "./webhook.js";

const model = "label-orientation";
const version = async () => slotOf(await makeManifest([await picture()]));

test("answers that the webhook did not have when the runner was killed reach it after the next start", async (t) => {
  const folder = await temporaryFolder();
  const inbox = join(folder, "inbox");
  await mkdir(inbox);
  const server = new WebhookServer(t);
  const settings = {
    stateDir: join(folder, "state"),
    sources: [{ type: "folder" as const, path: inbox, model, pollMs: 50, afterwards: "delete" as const }],
    sinks: [{ type: "webhook" as const, url: await server.reserve() }],
  };
  const first = await startRunner(t, settings);
  await serve(first.host, await version());
  for (let at = 0; at < 10; at += 1) await writeFile(join(inbox, `${at}.jpg`), await picture(at));
  await until("the folder is empty", async () => (await readdir(inbox)).length === 0);
  assert.equal((await first.host.status()).sinks[0]?.waiting, 10);
  process.kill(first.host.pid ?? 0, "SIGKILL");

  await server.listen();
  await startRunner(t, settings);
  await until("all answers have arrived", () => server.taken.length >= 10);
  const inputs = server.taken.map(({ input }) => input).sort();
  assert.deepEqual(
    inputs,
    Array.from({ length: 10 }, (_, at) => `${at}.jpg`),
  );
  const [answer] = server.taken;
  assert.deepEqual([answer?.model, answer?.version, answer?.source], [model, "1.0.0", inbox]);
  assert.match(String(answer?.label), /upright|rotated/);
});

test("a message that was not answered when the runner was killed comes again, and its answer goes to a topic", async (t) => {
  const broker = new TestBroker(t);
  const url = await broker.reserve();
  await broker.listen();
  const settings = {
    stateDir: await temporaryFolder(),
    sources: [{ type: "mqtt" as const, url, topic: "camera/+", model }],
    sinks: [{ type: "mqtt" as const, url, topic: "answers/{model}" }],
  };
  const answers = () =>
    broker.published
      .filter(({ topic }) => topic === `answers/${model}`)
      .map(({ payload }) => JSON.parse(payload) as SinkRecord);
  const first = await startRunner(t, settings);
  const slot = await version();
  await serve(first.host, slot);
  await until("it listens", async () => (await first.host.status()).sources[0]?.state === "running");
  await broker.publish("camera/1", await picture(1));
  await until("it is answered", () => answers().length === 1);
  await first.host.unload(slot.manifestDigest);
  await broker.publish("camera/2", await picture(2));
  await until("it waits", async () => (await first.host.status()).sources[0]?.state === "waiting");
  process.kill(first.host.pid ?? 0, "SIGKILL");

  const second = await startRunner(t, settings);
  await serve(second.host, slot);
  await until("it is answered", () => answers().length >= 2);
  const inputs = answers().map(({ input }) => input);
  assert.deepEqual([inputs[0], inputs.at(-1)], ["camera/1", "camera/2"]);
});

test("one snapshot goes to every sink, and status shows no secret", async (t) => {
  const folder = await temporaryFolder();
  const [camera, server] = [new SnapshotServer(t), new WebhookServer(t)];
  const path = join(folder, "answers.jsonl");
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, "hunter2");
  camera.show(await picture());
  const settings = {
    stateDir: join(folder, "state"),
    sources: [
      { type: "http" as const, url: await camera.reserve(), model, everyMs: 50, auth: { token: { file: tokenFile } } },
    ],
    sinks: [
      { type: "jsonl" as const, path },
      { type: "webhook" as const, url: await server.reserve(), signWith: { env: "MUSTER_TEST_SECRET" } },
    ],
  };
  process.env.MUSTER_TEST_SECRET = "hunter2-of-the-hook";
  t.after(() => delete process.env.MUSTER_TEST_SECRET);
  await camera.listen();
  await server.listen();
  const { host, log } = await startRunner(t, settings);
  await serve(host, await version());
  await until("the webhook has it", () => server.taken.length === 1);
  assert.equal(camera.requests[0]?.authorization, "Bearer hunter2");
  const [request] = server.requests;
  const signature = String(request?.headers["muster-signature"]);
  const seconds = Number(/^t=(\d+)/.exec(signature)?.[1]);
  assert.equal(signature, signatureOf(request?.body ?? "", "hunter2-of-the-hook", seconds));
  const line = JSON.parse((await readFile(path, "utf8")).trim()) as SinkRecord;
  assert.deepEqual(line, server.taken[0]);
  const status = await host.status();
  assert.deepEqual([status.sources[0]?.taken, status.sinks.map(({ written }) => written)], [1, [1, 1]]);
  assert.doesNotMatch(JSON.stringify([status, log.lines]), /hunter2|secret/);
});
