import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { client, connected, until } from "@muster/hub/testing";
import { downTopic, upTopic } from "@muster/shared";
import { mosquittoBench } from "../fleet/mosquitto-bench.js";

const payload = Buffer.from("{}");
/** A broker that was killed is back, and the hub's pause before the next try is over. */
const backMs = 30_000;

test("a broker that was killed is found again, and everything is subscribed to anew", async (t) => {
  const bench = await mosquittoBench(t);
  for (let kill = 1; kill <= 2; kill += 1) {
    await bench.broker.kill();
    await until("the hub knows", () => bench.logged.filter((event) => event === "broker.lost").length >= kill);
    await bench.broker.restart();
    await until("the way is open again", () => bench.opens() === kill + 1, backMs);
    const device = await client(t, bench, "a");
    assert.equal(await connected(device), "connected");
    await device.publishAsync(upTopic("a", "hello"), `${kill}`, { qos: 1 });
    await until("the device is heard", () => bench.heard.some((message) => String(message.payload) === `${kill}`));
    await device.endAsync();
  }
});

test("what is sent while the broker is away fails at once, and is not brought up later", async (t) => {
  const bench = await mosquittoBench(t);
  await bench.broker.kill();
  await until("the hub knows", () => bench.logged.includes("broker.lost"));
  for (const kind of ["command", "reply"] as const) {
    await assert.rejects(bench.link.send("a", kind, payload), { code: "link/closed" });
  }
  await assert.rejects(bench.link.sendFrame("a", Buffer.alloc(1000)), { code: "link/closed" });
  await bench.link.retain("a", "desired", payload);
  await bench.broker.restart();
  const device = await client(t, bench, "a");
  assert.equal(await connected(device), "connected");
  const got: string[] = [];
  device.on("message", (topic) => got.push(topic));
  await device.subscribeAsync(Object.fromEntries(kinds.map((kind) => [downTopic("a", kind), { qos: 1 }])));
  await until("the way is open again", () => bench.opens() === 2, backMs);
  await bench.link.send("a", "desired", payload);
  await until("what was sent since", () => got.length > 0);
  assert.deepEqual(got, [downTopic("a", "desired")]);
});

const kinds = ["command", "reply", "chunk", "desired"] as const;

test("what waits for a broker that then dies fails, and no more than a few wait in the socket", async (t) => {
  const bench = await mosquittoBench(t);
  process.kill(bench.broker.pid, "SIGSTOP");
  let taken = 0;
  let failed = 0;
  const count = <T>(sent: Promise<T>) => sent.then(() => (taken += 1)).catch(() => (failed += 1));
  const frames = Array.from({ length: 200 }, () => count(bench.link.sendFrame("a", Buffer.alloc(250_000))));
  const commands = Array.from({ length: 200 }, () => count(bench.link.send("a", "command", payload)));
  await until("the kernel has taken some", () => taken > 0);
  await bench.broker.kill();
  await Promise.all([...frames, ...commands]);
  assert.ok(taken < 100, `${taken} frames of 250 kB were said to be taken by a broker that stood still`);
  assert.equal(taken + failed, 400);
});

test("a hub that was refused goes on trying", async (t) => {
  const bench = await mosquittoBench(t);
  const file = join(bench.folder, "mosquitto.conf");
  const config = await readFile(file, "utf8");
  // A client without a name is answered "not authorized".
  await writeFile(file, config.replace("use_identity_as_username true", "use_identity_as_username false"));
  await bench.broker.kill();
  await bench.broker.restart();
  await until("refused twice", () => bench.logged.filter((event) => event === "broker.lost").length >= 3, backMs);
  assert.equal(bench.opens(), 1);
  await writeFile(file, config);
  await bench.broker.kill();
  await bench.broker.restart();
  await until("the way is open again", () => bench.opens() === 2, backMs);
});

test("Nagle's algorithm is off on every connection of the hub", async (t) => {
  const undelayed = new Set<string>();
  const original = Socket.prototype.setNoDelay;
  // Node has no way to ask a socket.
  Socket.prototype.setNoDelay = function (this: Socket, on?: boolean) {
    if (on !== false) undelayed.add(`${this.localPort}→${this.remotePort}`);
    return original.call(this, on);
  };
  t.after(() => {
    Socket.prototype.setNoDelay = original;
  });
  const bench = await mosquittoBench(t);
  const ends = () => [...undelayed].filter((pair) => pair.endsWith(`→${bench.broker.port}`)).length;
  assert.equal(ends(), 1);
  await bench.broker.kill();
  await bench.broker.restart();
  await until("the way is open again", () => bench.opens() === 2, backMs);
  assert.equal(ends(), 2);
});
