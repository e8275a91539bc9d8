import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { type TestContext, test } from "node:test";
import { callHttp } from "./got-http.js";

const call = { method: "GET", headers: {}, timeoutMs: 20_000, maxBytes: 1000 } as const;

async function server(t: TestContext, answer: RequestListener): Promise<string> {
  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();
  assert.ok(typeof address === "object" && address !== null);
  return `http://127.0.0.1:${address.port}/`;
}

test("any status is an answer, with its headers, and a redirect is not followed", async (t) => {
  const url = await server(t, (request, response) => {
    assert.equal(request.url, "/");
    response.writeHead(302, { location: "/elsewhere", "set-cookie": ["a=1", "b=2"] }).end("over there");
  });
  const { status, headers, body } = await callHttp({ ...call, url });
  assert.deepEqual([status, headers.location, body.toString()], [302, "/elsewhere", "over there"]);
});

test("a body is posted as it is", async (t) => {
  let got = "";
  const url = await server(t, async (request, response) => {
    for await (const chunk of request) got += chunk;
    response.writeHead(204).end();
  });
  const headers = { "content-type": "application/json" };
  const answer = await callHttp({ ...call, method: "POST", url, headers, body: '{"é":1}' });
  assert.deepEqual([answer.status, answer.body.length, got], [204, 0, '{"é":1}']);
});

test("an answer without end is cut off at its limit, and the connection is closed", async (t) => {
  let closed: () => void;
  const over = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const url = await server(t, (_request, response) => {
    response.once("close", () => closed());
    const more = () => response.write(Buffer.alloc(100), () => setImmediate(more));
    more();
  });
  await assert.rejects(callHttp({ ...call, url }), { code: "source/failed", message: /more than 1000 bytes/ });
  await over;
});

test("a server that does not come to an end is given up in time", async (t) => {
  const url = await server(t, (_request, response) => void response.write("slow"));
  await assert.rejects(callHttp({ ...call, url, timeoutMs: 100 }), /Timeout/);
});

test("a call that is given up ends at once, and a finished one is not disturbed by its signal", async (t) => {
  const url = await server(t, (request, response) => {
    if (request.headers["x-slow"] === undefined) response.end("quick");
    else leave.abort();
  });
  const leave = new AbortController();
  assert.equal((await callHttp({ ...call, url, signal: leave.signal })).body.toString(), "quick");
  await assert.rejects(callHttp({ ...call, url, headers: { "x-slow": "1" }, signal: leave.signal }), /given up/);
  await assert.rejects(callHttp({ ...call, url, signal: leave.signal }), /given up/);
});

test("nothing listens: the error says so", async (t) => {
  const url = await server(t, () => undefined);
  const closed = new URL(url);
  closed.port = "1";
  await assert.rejects(callHttp({ ...call, url: closed.href }), /ECONNREFUSED/);
});
