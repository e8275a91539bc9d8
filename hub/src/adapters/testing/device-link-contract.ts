import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { type DownKind, downKinds, downTopic, laneId, maxLanes, messageOf, upTopic } from "@muster/shared";
import type { IClientOptions, MqttClient } from "mqtt";
import { linkRoomBytes } from "../../ports.js";
import { type Bench, client, connected, until } from "./broker-bench.js";

/** What every {@link DeviceLink} does; `open` opens one with a broker of its own, closed with the test. */
export function deviceLinkContract(name: string, open: (t: TestContext) => Promise<Bench>): void {
  test(`${name}: what a device sends is heard under its name, in its order`, async (t) => {
    const bench = await open(t);
    const { opened } = await device(t, bench, "a");
    for (let at = 0; at < 50; at += 1) opened.publish(upTopic("a", "telemetry"), `${at}`, { qos: 1 });
    await until("50 messages", () => bench.heard.length === 50);
    const expected = Array.from({ length: 50 }, (_, at) => ({ device: "a", kind: "telemetry", payload: `${at}` }));
    assert.deepEqual(
      bench.heard.map((message) => ({ ...message, payload: String(message.payload) })),
      expected,
    );
  });

  test(`${name}: what is sent arrives, whatever else is on its way, and for nobody else`, async (t) => {
    const bench = await open(t);
    const [a, b] = [await device(t, bench, "a"), await device(t, bench, "b")];
    const kinds: DownKind[] = ["command", "chunk", "reply", "desired"];
    await Promise.all(
      Array.from({ length: 200 }, (_, at) => [
        ...kinds.slice(0, 3).map((kind) => bench.link.send("a", kind, Buffer.from(`${at}`))),
        bench.link.retain("a", "desired", Buffer.from(`${at}`)),
      ]).flat(),
    );
    await until("200 of each kind", () => kinds.every((kind) => a.got(kind).length === 200));
    const numbers = Array.from({ length: 200 }, (_, at) => `${at}`);
    for (const kind of kinds) assert.deepEqual(a.got(kind).map(String), numbers, kind);
    assert.deepEqual(
      kinds.flatMap((kind) => b.got(kind)),
      [],
    );
  });

  test(`${name}: a frame's buffer may be used again as soon as it was sent`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    // Also small ones, several at once: a socket that is busy holds these without saying that it is full.
    const frames = Array.from({ length: 240 }, (_, at) => randomBytes(at % 40 === 0 ? 200_000 : 3000));
    for (let at = 0; at < frames.length; at += 12) {
      const sent = frames.slice(at, at + 12).map(async (frame) => {
        const buffer = Buffer.concat([Buffer.alloc(linkRoomBytes), frame]);
        await bench.link.sendFrame("a", buffer);
        buffer.fill(0);
      });
      await Promise.all(sent);
      await until("the device has them", () => a.got("chunk").length === at + 12);
    }
    for (const [at, frame] of frames.entries()) assert.ok(a.got("chunk")[at]?.equals(frame), `frame ${at}`);
  });

  test(`${name}: a device that does not read holds up nobody else`, async (t) => {
    const bench = await open(t);
    const [frozen, healthy] = [await device(t, bench, "frozen"), await device(t, bench, "healthy")];
    frozen.opened.stream.pause();
    (frozen.opened.stream as { _handle?: { readStop?: () => void } })._handle?.readStop?.();
    const pushing = Array.from({ length: 150 }, () =>
      bench.link.sendFrame("frozen", Buffer.alloc(linkRoomBytes + 200_000)).catch(() => undefined),
    );
    await Promise.all(Array.from({ length: 25 }, () => bench.link.send("healthy", "command", Buffer.from("{}"))));
    await until("25 messages", () => healthy.got("command").length === 25);
    frozen.opened.end(true);
    await Promise.all(pushing);
  });

  test(`${name}: a frame for a lane that is not there is refused, and the device's own connection stays as it is`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    await assert.rejects(bench.link.sendFrame("a", Buffer.alloc(linkRoomBytes + 10), 1), { code: "link/closed" });
    await bench.link.send("a", "command", Buffer.from("{}"));
    await until("the command", () => a.got("command").length === 1);
    assert.deepEqual(a.got("chunk"), []);
  });

  test(`${name}: a device is who its certificate says, whatever it calls itself, and touches only its own topics`, async (t) => {
    const bench = await open(t);
    const victim = await device(t, bench, "victim");
    const liar = await client(t, bench, "a", "victim");
    if ((await connected(liar)) === "connected") {
      const received: string[] = [];
      liar.on("message", (topic) => received.push(topic));
      liar.on("error", () => undefined);
      for (const filter of ["#", "+/#", "$SYS/#", downTopic("victim", "command"), upTopic("victim", "hello")]) {
        await liar.subscribeAsync(filter).catch(() => undefined);
      }
      for (const topic of [upTopic("victim", "reported"), downTopic("victim", "command"), "muster/1/up/00/a/hello"]) {
        await liar.publishAsync(topic, "forged", { qos: 1 }).catch(() => undefined);
      }
      await bench.link.send("victim", "command", Buffer.from("{}"));
      await until("the command", () => victim.got("command").length > 0);
      assert.deepEqual(received, []);
    }
    assert.ok(victim.opened.connected, "a name cannot be taken over");
    await victim.opened.publishAsync(upTopic("victim", "event"), "own", { qos: 1 });
    await until("the victim's own", () => bench.heard.length > 0);
    assert.deepEqual(
      bench.heard.map(({ payload }) => String(payload)),
      ["own"],
    );
    assert.deepEqual(
      victim
        .got("command")
        .map(String)
        .filter((text) => text === "forged"),
      [],
    );
  });

  test(`${name}: a connection that breaks is told, with the last will before`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    await a.opened.publishAsync(upTopic("a", "hello"), "{}", { qos: 1 });
    a.opened.stream.destroy();
    await until("the end", () => bench.gone.includes("a"));
    assert.deepEqual(
      bench.heard.map(({ kind }) => kind),
      ["hello", "will"],
    );
  });

  test(`${name}: a device that is kicked, or that may not be there any more, is cut off`, async (t) => {
    const bench = await open(t);
    const [a, b, c] = [await device(t, bench, "a"), await device(t, bench, "b"), await device(t, bench, "c")];
    for (const name of ["a", "b", "c"]) bench.link.kick(name === "a" ? name : "nobody");
    await until("a is cut off", () => !a.opened.connected);
    await b.opened.publishAsync(upTopic("b", "hello"), "{}", { qos: 1 });
    await until("b is heard", () => bench.heard.some(({ device: from }) => from === "b"));
    bench.revoked.add("b");
    bench.link.recheck();
    await until("b is cut off", () => !b.opened.connected);
    assert.ok(c.opened.connected);
    await until("both are gone", () => bench.gone.includes("b"));
    await bench.link.send("c", "command", Buffer.from("{}"));
    await until("c is served", () => c.got("command").length === 1);
  });
}

/** What lanes do where a link has them; `open` as for {@link deviceLinkContract}. */
export function lanesContract(name: string, open: (t: TestContext) => Promise<Bench>): void {
  test(`${name}: a frame goes on the lane it is for, and nowhere when that is not there`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    const [first, second] = [await lane(t, bench, "a", 1), await lane(t, bench, "a", 2)];
    const frame = (text: string) => Buffer.concat([Buffer.alloc(linkRoomBytes), Buffer.from(text)]);
    await Promise.all([0, 1, 2].map((at) => bench.link.sendFrame("a", frame(`on ${at}`), at)));
    await until("three frames", () => a.got("chunk").length + first.got.length + second.got.length === 3);
    assert.deepEqual([a.got("chunk"), first.got, second.got].map(String), ["on 0", "on 1", "on 2"]);
    second.opened.end(true);
    const late = () => bench.link.sendFrame("a", frame("late"), 2).then(() => undefined, messageOf);
    let reason = await late();
    while (reason === undefined) reason = await late();
    assert.match(reason, /a\.2/);
    await assert.rejects(bench.link.sendFrame("b", frame("none"), 1), { code: "link/closed" });
  });

  test(`${name}: a lane is no sign of its device, before, beside or after it`, async (t) => {
    const bench = await open(t);
    const early = await lane(t, bench, "a", 1);
    await assert.rejects(bench.link.send("a", "command", Buffer.from("{}")), { code: "link/closed" });
    const a = await device(t, bench, "a");
    early.opened.end(true);
    const late = await lane(t, bench, "a", 1);
    assert.ok(a.opened.connected && late.opened.connected);
    await bench.link.send("a", "command", Buffer.from("{}"));
    await until("the command", () => a.got("command").length === 1);
    assert.deepEqual(bench.gone, []);
    assert.deepEqual(late.got, []);
  });

  test(`${name}: a lane says nothing and hears its chunks only, whatever program opens it`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    const will = { topic: upTopic("a", "will"), payload: Buffer.from("{}"), qos: 1 as const, retain: false };
    const own = downKinds.map((kind) => downTopic("a", kind));
    for (const topic of [upTopic("a", "reported"), upTopic("a.1", "reported"), downTopic("a", "command")]) {
      const { opened } = await lane(t, bench, "a", 1, { will });
      opened.publish(topic, "forged", { qos: 1 });
      await until(`cut off for ${topic}`, () => !opened.connected);
    }
    const { opened, got } = await lane(t, bench, "a", 1, { will });
    for (const filter of [
      ...own,
      "#",
      downTopic("a.2", "chunk"),
      downTopic("a.1", "command"),
      downTopic("b", "chunk"),
    ]) {
      await assert.rejects(opened.subscribeAsync(filter), `${filter} is refused`);
    }
    await bench.link.send("a", "command", Buffer.from("{}"));
    await until("the command", () => a.got("command").length === 1);
    assert.deepEqual(got, []);
    opened.stream.destroy();
    await a.opened.publishAsync(upTopic("a", "event"), "own", { qos: 1 });
    await until("the device's own", () => bench.heard.length > 0);
    assert.deepEqual(
      bench.heard.map(({ payload }) => String(payload)),
      ["own"],
    );
  });

  test(`${name}: a lane is of the device its certificate names, and there are no more than ${maxLanes}`, async (t) => {
    const bench = await open(t);
    for (const id of ["b.1", "a.0", `a.${maxLanes + 1}`, "a.01", "a.1.1", "a.", "a.x", ".1", "a.-1", "a.1e0"]) {
      assert.equal(await connected(await client(t, bench, "a", id)), "refused", id);
    }
    assert.equal(await connected(await client(t, bench, "a", `a.${maxLanes}`)), "connected");
  });

  test(`${name}: the lanes of a device end with it, when it is kicked or may not be there any more`, async (t) => {
    const bench = await open(t);
    const kicked = [await lane(t, bench, "a", 1), await lane(t, bench, "a", maxLanes)];
    const [revoked, other] = [await lane(t, bench, "b", 1), await lane(t, bench, "c", 1)];
    bench.link.kick("a");
    await until("the lanes of a", () => kicked.every(({ opened }) => !opened.connected));
    bench.revoked.add("b");
    bench.link.recheck();
    await until("the lane of b", () => !revoked.opened.connected);
    assert.equal(await connected(await client(t, bench, "b", "b.1")), "refused");
    assert.ok(other.opened.connected);
    const c = await device(t, bench, "c");
    c.opened.stream.destroy();
    await until("the lane of c", () => !other.opened.connected);
    await until("c has gone", () => bench.gone.includes("c"));
  });

  test(`${name}: a lane that does not read holds up neither its device nor its other lanes`, async (t) => {
    const bench = await open(t);
    const a = await device(t, bench, "a");
    const [frozen, healthy] = [await lane(t, bench, "a", 1), await lane(t, bench, "a", 2)];
    frozen.opened.stream.pause();
    (frozen.opened.stream as { _handle?: { readStop?: () => void } })._handle?.readStop?.();
    const roomy = () => Buffer.alloc(linkRoomBytes + 200_000);
    const pushing = Array.from({ length: 150 }, () => bench.link.sendFrame("a", roomy(), 1).catch(() => undefined));
    await Promise.all(Array.from({ length: 5 }, () => bench.link.sendFrame("a", roomy(), 2)));
    await bench.link.send("a", "command", Buffer.from("{}"));
    await until("both", () => healthy.got.length === 5 && a.got("command").length === 1);
    frozen.opened.end(true);
    await Promise.all(pushing);
  });
}

/** A lane that has subscribed to its chunks. */
async function lane(
  t: TestContext,
  bench: Bench,
  of: string,
  number: number,
  more: IClientOptions = {},
): Promise<{ opened: MqttClient; got: Buffer[] }> {
  const id = laneId(of, number);
  const opened = await client(t, bench, of, id, more);
  assert.equal(await connected(opened), "connected");
  const got: Buffer[] = [];
  opened.on("message", (_topic, payload) => got.push(payload));
  await opened.subscribeAsync(downTopic(id, "chunk"), { qos: 0 });
  return { opened, got };
}

/** A connected device that has subscribed to all that is its own, and leaves a will. */
async function device(
  t: TestContext,
  bench: Bench,
  id: string,
): Promise<{ opened: MqttClient; got: (kind: DownKind) => Buffer[] }> {
  const will = { topic: upTopic(id, "will"), payload: Buffer.from("{}"), qos: 1 as const, retain: false };
  const opened = await client(t, bench, id, id, { will });
  assert.equal(await connected(opened), "connected");
  const messages = new Map<string, Buffer[]>(downKinds.map((kind) => [downTopic(id, kind), []]));
  opened.on("message", (topic, payload) => messages.get(topic)?.push(payload));
  for (const kind of downKinds) {
    await opened.subscribeAsync(downTopic(id, kind), { qos: kind === "chunk" || kind === "reply" ? 0 : 1 });
  }
  return { opened, got: (kind) => messages.get(downTopic(id, kind)) ?? [] };
}
