import assert from "node:assert/strict";
import { test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { downTopic, upTopic } from "@muster/shared";
import mqtt from "mqtt";
import { openAedesBroker } from "./aedes-broker.js";
import { packetLimits } from "./aedes-guards.js";
import { bench, client, connected, limits, silent, until } from "./testing/broker-bench.js";
import { newRequest } from "./testing/csr.js";

test("QoS 1 messages overtaken by QoS 0 ones all arrive", async (t) => {
  const broker = await bench(t);
  const device = await client(t, broker, "a");
  assert.equal(await connected(device), "connected");
  await device.subscribeAsync({
    [downTopic("a", "command")]: { qos: 1 },
    [downTopic("a", "chunk")]: { qos: 0 },
    [downTopic("a", "desired")]: { qos: 1 },
  });
  const seen = { command: 0, chunk: 0, desired: 0 };
  device.on("message", (topic) => {
    seen[topic.split("/").at(-1) as keyof typeof seen] += 1;
  });
  const payload = Buffer.from("{}");
  const sent = Array.from({ length: 200 }, () => [
    broker.link.send("a", "command", payload),
    broker.link.retain("a", "desired", payload),
    broker.link.send("a", "chunk", payload),
  ]);
  await Promise.all(sent.flat());
  await until("200 of each", () => seen.command === 200 && seen.chunk === 200 && seen.desired === 200).catch(
    () => undefined,
  );
  assert.deepEqual(seen, { command: 200, chunk: 200, desired: 200 });
});

test("a device that does not read holds up nobody else", async (t) => {
  const broker = await bench(t);
  const [frozen, healthy] = [await client(t, broker, "frozen"), await client(t, broker, "healthy")];
  assert.deepEqual([await connected(frozen), await connected(healthy)], ["connected", "connected"]);
  await frozen.subscribeAsync({
    [downTopic("frozen", "chunk")]: { qos: 0 },
    [downTopic("frozen", "desired")]: { qos: 1 },
  });
  await healthy.subscribeAsync({
    [downTopic("healthy", "command")]: { qos: 1 },
    [downTopic("healthy", "desired")]: { qos: 1 },
  });
  frozen.stream.pause();
  (frozen.stream as { _handle?: { readStop?: () => void } })._handle?.readStop?.();
  const bytes = Buffer.alloc(256 * 1024);
  // By both ways to a device: more than aedes would let wait for everybody with its default concurrency of 100.
  const pushing = Array.from({ length: 150 }, () => [
    broker.link.send("frozen", "chunk", bytes).catch(() => undefined),
    broker.link.retain("frozen", "desired", bytes).catch(() => undefined),
  ]);
  let arrived = 0;
  healthy.on("message", () => {
    arrived += 1;
  });
  for (let at = 0; at < 25; at += 1) {
    void broker.link.send("healthy", "command", Buffer.from("{}"));
    void broker.link.retain("healthy", "desired", Buffer.from("{}"));
  }
  await until("50 messages to the healthy device", () => arrived === 50, 3000);
  frozen.end(true);
  await Promise.all(pushing.flat());
});

test("a packet that is too large ends the connection before its bytes are collected", async (t) => {
  const broker = await bench(t);
  const { privateKey, csr } = await newRequest("big");
  const { certificate } = await broker.authority.issueDevice(csr, "big");
  const socket = tlsConnect({
    host: "127.0.0.1",
    port: Number(new URL(broker.link.url).port),
    ca: broker.authority.certificate,
    cert: certificate,
    key: privateKey,
  });
  await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  // A CONNECT that announces 200 MB.
  socket.write(Buffer.from([0x10, 0x80, 0x84, 0xaf, 0x5f]));
  await ended;
  assert.equal(broker.link.counters()["packet-too-large"], 1);

  const device = await client(t, broker, "big");
  assert.equal(await connected(device), "connected");
  await device.publishAsync(upTopic("big", "telemetry"), Buffer.alloc(packetLimits.afterLogin - 1000), { qos: 1 });
  const closed = new Promise<void>((resolve) => device.once("close", () => resolve()));
  device.publish(upTopic("big", "telemetry"), Buffer.alloc(packetLimits.afterLogin + 1), { qos: 1 });
  await closed;
  assert.equal(broker.link.counters()["packet-too-large"], 2);
});

test("a device publishes and reads only what is its own", async (t) => {
  const broker = await bench(t);
  const victim = await client(t, broker, "victim");
  assert.equal(await connected(victim), "connected");
  const foreign = [
    upTopic("victim", "reported"),
    downTopic("a", "command"),
    downTopic("victim", "desired"),
    "$SYS/x/new/clients",
    "muster/1/up/00/a/reported",
    "x",
  ];
  for (const topic of foreign) {
    const device = await client(t, broker, "a");
    assert.equal(await connected(device), "connected");
    const closed = new Promise<void>((resolve) => device.once("close", () => resolve()));
    device.publish(topic, "victim", { qos: 1 });
    await closed;
  }
  assert.equal(broker.link.counters()["publish-not-allowed"], foreign.length);
  assert.ok(victim.connected, "publishing below $SYS must not disconnect another device");
  assert.deepEqual(
    broker.heard.filter(({ kind }) => kind !== "will"),
    [],
  );

  const device = await client(t, broker, "a");
  assert.equal(await connected(device), "connected");
  for (const filter of [
    "#",
    "muster/1/down/+/desired",
    downTopic("victim", "desired"),
    "$SYS/#",
    upTopic("a", "hello"),
  ]) {
    await assert.rejects(device.subscribeAsync(filter), Error, filter);
  }
  await device.publishAsync(upTopic("a", "reported"), "{}", { qos: 1 });
  await until("the device's own message", () =>
    broker.heard.some(({ device: from, kind }) => from === "a" && kind === "reported"),
  );
});

test("the client id must be the certificate's name, and the certificate must not be revoked", async (t) => {
  const broker = await bench(t);
  assert.equal(await connected(await client(t, broker, "a", "b")), "refused");
  broker.revoked.add("c");
  assert.equal(await connected(await client(t, broker, "c")), "refused");
  assert.deepEqual(broker.link.counters(), { "id-not-certificate": 1, "certificate-revoked": 1 });
});

test("a client without a certificate, or with one of another CA, does not get through the handshake", async (t) => {
  const broker = await bench(t);
  const stranger = mqtt.connect(broker.link.url, {
    clientId: "a",
    ca: broker.authority.certificate,
    reconnectPeriod: 0,
  });
  t.after(() => stranger.end(true));
  assert.equal(await connected(stranger), "refused");
  const other = await bench(t);
  const { privateKey, csr } = await newRequest("a");
  const { certificate } = await other.authority.issueDevice(csr, "a");
  const forged = mqtt.connect(broker.link.url, {
    clientId: "a",
    ca: broker.authority.certificate,
    cert: certificate,
    key: privateKey,
    reconnectPeriod: 0,
  });
  t.after(() => forged.end(true));
  assert.equal(await connected(forged), "refused");
});

test("sending to a device that is not there says so", async (t) => {
  const { link } = await bench(t);
  await assert.rejects(link.send("nobody", "command", Buffer.from("{}")), { code: "link/closed" });
});

test("a port in use is named, with what to do", async (t) => {
  const { link, authority } = await bench(t);
  const tls = { ...(await authority.issueServer(["127.0.0.1"])), ca: authority.certificate };
  const listener = { onMessage: () => undefined, onAlive: () => undefined, onGone: () => undefined };
  const port = Number(new URL(link.url).port);
  const again = openAedesBroker({
    host: "127.0.0.1",
    port,
    publicHost: "x",
    tls,
    door: { refusal: () => undefined, entered: () => undefined },
    limits,
    listener,
    log: silent,
  });
  await assert.rejects(again, { code: "port/in-use", message: new RegExp(`port ${port} .*choose another`) });
});
