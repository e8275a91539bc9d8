import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { upTopic } from "@muster/shared";
import { bench, client, connected, until } from "./testing/broker-bench.js";

test("a flood of connections from one address is cut before TLS, and who is connected goes on", async (t) => {
  const broker = await bench(t, { connectsPerSecondPerAddress: 5 });
  const device = await client(t, broker, "a");
  assert.equal(await connected(device), "connected");
  const port = Number(new URL(broker.link.url).port);
  const flood = Array.from({ length: 200 }, async () => {
    const socket = connect({ host: "127.0.0.1", port });
    t.after(() => socket.destroy());
    return new Promise((resolve) => {
      socket.once("error", () => resolve("cut"));
      socket.once("close", () => resolve("cut"));
      setTimeout(() => resolve("open"), 500);
    });
  });
  const ends = await Promise.all(flood);
  assert.ok(
    ends.filter((end) => end === "open").length <= 15,
    `${ends.filter((end) => end === "open").length} are open`,
  );
  assert.ok((broker.link.counters()["connects-too-fast"] ?? 0) >= 185);
  await device.publishAsync(upTopic("a", "reported"), "{}", { qos: 1 });
  await until("its message", () => broker.heard.some(({ kind }) => kind === "reported"));
  assert.ok(device.connected);
});

test("connections of one address, and of all, are capped; one that ends makes room", async (t) => {
  const broker = await bench(t, { connectionsPerAddress: 2 });
  const [a, b] = [await client(t, broker, "a"), await client(t, broker, "b")];
  assert.deepEqual([await connected(a), await connected(b)], ["connected", "connected"]);
  assert.equal(await connected(await client(t, broker, "c")), "refused");
  assert.equal(broker.link.counters()["connections-per-address"], 1);
  await a.endAsync();
  await until("a is gone", () => !a.connected);
  assert.equal(await connected(await client(t, broker, "c")), "connected");

  const small = await bench(t, { maxConnections: 1 });
  assert.equal(await connected(await client(t, small, "a")), "connected");
  assert.equal(await connected(await client(t, small, "b")), "refused");
  assert.equal(small.link.counters()["connections-total"], 1);
});

test("a device that publishes 10 000 messages is slowed, loses none, and slows nobody else", async (t) => {
  const broker = await bench(t, { messagesPerSecondPerDevice: 2500 });
  const [noisy, quiet] = [await client(t, broker, "noisy"), await client(t, broker, "quiet")];
  assert.deepEqual([await connected(noisy), await connected(quiet)], ["connected", "connected"]);
  const beganMs = Date.now();
  for (let at = 0; at < 10_000; at += 1) noisy.publish(upTopic("noisy", "request"), `${at}`, { qos: 0 });
  const slowest: number[] = [];
  const heardOf = (device: string, kind: string) =>
    broker.heard.filter((message) => message.device === device && message.kind === kind);
  while (heardOf("noisy", "request").length < 10_000 && Date.now() - beganMs < 20_000) {
    const sentMs = Date.now();
    await quiet.publishAsync(upTopic("quiet", "reported"), "{}", { qos: 1 });
    slowest.push(Date.now() - sentMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const tookMs = Date.now() - beganMs;
  const numbers = heardOf("noisy", "request").map(({ payload }) => Number(payload));
  assert.deepEqual(
    numbers,
    Array.from({ length: 10_000 }, (_, at) => at),
    "all of them, in their order",
  );
  // 5000 at once, the other 5000 at 2500 per second.
  assert.ok(tookMs > 1800, `it took ${tookMs} ms`);
  slowest.sort((a, b) => a - b);
  assert.ok((slowest[Math.floor(slowest.length / 2)] ?? 0) < 200, `the other waited ${slowest.join(" ")} ms`);
  assert.ok((broker.link.counters()["publish-delayed"] ?? 0) > 0);
  assert.ok(noisy.connected);
});

test("a device far above what it may is cut off", async (t) => {
  const broker = await bench(t, { messagesPerSecondPerDevice: 1 });
  const noisy = await client(t, broker, "noisy");
  assert.equal(await connected(noisy), "connected");
  const closed = new Promise<void>((resolve) => noisy.once("close", () => resolve()));
  for (let at = 0; at < 200; at += 1) noisy.publish(upTopic("noisy", "request"), "x", { qos: 0 });
  await closed;
  assert.ok((broker.link.counters()["publish-flood"] ?? 0) >= 1);
});

test("who asks for very many topics, or promises no pings, is cut off", async (t) => {
  const broker = await bench(t);
  const greedy = await client(t, broker, "a");
  assert.equal(await connected(greedy), "connected");
  const closed = new Promise<void>((resolve) => greedy.once("close", () => resolve()));
  greedy.subscribe(
    Array.from({ length: 100 }, (_, at) => `x/${at}`),
    () => undefined,
  );
  await closed;
  assert.ok((broker.link.counters()["subscribe-flood"] ?? 0) >= 1);
  for (const keepalive of [0, 3600]) {
    assert.equal(await connected(await client(t, broker, "a", "a", { keepalive })), "refused");
  }
  assert.equal(broker.link.counters()["keepalive-refused"], 2);
});

test("the listener's certificate is replaced while it runs, and connections stay", async (t) => {
  const broker = await bench(t);
  const device = await client(t, broker, "a");
  assert.equal(await connected(device), "connected");
  const port = Number(new URL(broker.link.url).port);
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const socket = tlsConnect({ host: "127.0.0.1", port, ca: broker.authority.certificate }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  const before = await shown();
  assert.equal(await shown(), before);
  broker.link.useTls({ ...(await broker.authority.issueServer(["127.0.0.1"])), ca: broker.authority.certificate });
  assert.notEqual(await shown(), before);
  await device.publishAsync(upTopic("a", "reported"), "{}", { qos: 1 });
  assert.equal(await connected(await client(t, broker, "b")), "connected");
});
