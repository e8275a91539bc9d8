import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "@muster/shared/node";
import { Buffers } from "../buffers.js";
import { defaultSettings, memoryLog, until } from "../testing.js";
import { Body, BodyBudget } from "./body.js";
import type { Exchange } from "./exchange.js";
import { jsonReply } from "./reply.js";
import { serveHttp } from "./server.js";
import { Traffic } from "./traffic.js";

test("a connection that is cut gives back the bodies of requests that wait behind one without an answer", async (t) => {
  let asked = 0;
  const waits = new Promise<never>(() => undefined);
  const take = async (exchange: Exchange) => {
    asked += 1;
    return jsonReply(200, { bytes: (await exchange.body()).length });
  };
  const server = await serveHttp(
    {
      routes: [
        { method: "POST", path: "/hold", answer: (exchange) => exchange.body().then(() => waits) },
        { method: "POST", path: "/take", answer: take },
      ],
      ...{ traffic: new Traffic(), buffers: new Buffers(), clock: systemClock, log: memoryLog() },
    },
    { ...defaultSettings.serving, maxBodyBytes: 2_000_000, maxBodiesBytes: 2_500_000 },
  );
  t.after(() => server.close());
  const status = async () => {
    const response = await fetch(`${server.url}/take`, { method: "POST", body: Buffer.alloc(1_800_000) });
    return (await response.arrayBuffer()) && response.status;
  };
  assert.equal(await status(), 200);
  const { hostname, port } = new URL(server.url);
  const head = (path: string, length: number) =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
  const last = { whole: Buffer.alloc(1_500_000), "cut off": Buffer.alloc(1_400_000) };
  for (const [what, bytes] of Object.entries(last)) {
    const before = asked;
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on("error", () => undefined);
    socket.write(Buffer.concat([Buffer.from(`${head("/hold", 3)}abc${head("/take", 1_500_000)}`), bytes]));
    await until("the second request is there", () => asked > before);
    await until("its body is in memory", async () => (await status()) === 429);
    socket.destroy();
    await until(`the memory of a body that is ${what} is free again`, async () => (await status()) === 200);
  }
});

test("a model whose requests hold much memory leaves some for the others", () => {
  const budget = new BodyBudget({ maxBodyBytes: 200, maxBodiesBytes: 1000 });
  const full = { code: "runner/overloaded" };
  for (let at = 0; at < 7; at += 1) budget.take(100, "hangs");
  assert.throws(() => budget.take(100, "hangs"), full);
  budget.take(200, "other");
  assert.throws(() => budget.take(101, ""), full, "all is all");
  budget.take(100, "");
  for (const [bytes, model] of [
    [700, "hangs"],
    [200, "other"],
    [100, ""],
  ] as const)
    budget.give(bytes, model);
  budget.take(200, "hangs");
  assert.equal(budget.usedBytes, 200);
});

test("a body that came in pieces is joined once, and its parts are the same before and after", () => {
  const body = new Body([Buffer.from("ab"), Buffer.from("cde")], new Buffers());
  const part = () => Buffer.from(body.take(1, 4)).toString();
  assert.deepEqual([part(), body.whole().toString(), part()], ["bcd", "abcde", "bcd"]);
  assert.equal(body.whole(), body.whole());
  assert.equal(body.head(3).buffer, body.whole().buffer);
});
