import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "@muster/shared/node";
import { Buffers } from "../buffers.js";
import { defaultSettings, memoryLog, until } from "../testing.js";
import type { Route } from "./routes.js";
import { serveHttp } from "./server.js";
import { Traffic } from "./traffic.js";

/** A server, and a connection to it whose requests are asked at once; `/held` is answered after `release`. */
async function asked(t: TestContext, writeLimitMs: number, paths: readonly string[]) {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let peer: Socket | undefined;
  const route = (path: string, bytes: number, ready?: Promise<void>): Route => ({
    method: "GET",
    path,
    answer: async ({ request }) => {
      peer = request.socket;
      await ready;
      return { status: 200, headers: {}, body: [Buffer.alloc(bytes, "x")] };
    },
  });
  const never = new Promise<void>(() => {});
  const traffic = new Traffic();
  const deps = {
    // More than a connection takes unread.
    routes: [route("/held", 1, held), route("/small", 10), route("/large", 30_000_000), route("/never", 1, never)],
    ...{ traffic, buffers: new Buffers(), clock: systemClock, log: memoryLog(), writeLimitMs },
  };
  const { url, close } = await serveHttp(deps, defaultSettings.serving);
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  t.after(() => {
    socket.destroy();
    return close();
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(""));
  await until("one is answered", () => traffic.counts().answered[0]?.count === 1);
  return { socket, release, close, peer: () => peer };
}

test("a client that reads nothing of an answer that was queued behind another is cut off", async (t) => {
  const { release, peer } = await asked(t, 200, ["/held", "/large"]);
  assert.equal(peer()?.destroyed, false);
  release();
  await until("the connection is cut", () => peer()?.destroyed === true);
});

test("the limit of a queued answer does not bound the work on the one behind it", async (t) => {
  const { socket, release, peer } = await asked(t, 60_000, ["/held", "/small", "/never"]);
  let heard = "";
  socket.on("data", (part) => {
    heard += part.toString();
  });
  release();
  await until("the queued answer is read", () => heard.endsWith("x".repeat(10)));
  await until("the connection has no limit any more", () => peer()?.timeout === 0);
});

test("an answer that is on its way when the server stops arrives whole, unless its client stops reading", async (t) => {
  const reading = await asked(t, 60_000, ["/large"]);
  let bytes = 0;
  const ended = once(reading.socket, "end");
  const closed = reading.close();
  reading.socket.on("data", (part) => {
    bytes += part.length;
  });
  await Promise.all([closed, ended]);
  assert.ok(bytes > 30_000_000, `${bytes} bytes`);

  const silent = await asked(t, 200, ["/large"]);
  await silent.close();
  assert.equal(silent.peer()?.destroyed, true);
});

test("an answer that was made after its connection was cut holds up no end", async (t) => {
  const { socket, release, close, peer } = await asked(t, 60_000, ["/small", "/never", "/held"]);
  socket.destroy();
  await until("the connection is cut", () => peer()?.destroyed === true);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  await close();
});
