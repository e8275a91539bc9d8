import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { infer, makeManifest, picture, serve, slotOf, startRunner, until } from "../testing.js";

const path = "/v2/models/label-orientation/infer";

interface Refused {
  readonly error: string;
  readonly code: string;
}

/** A grey PNG, black all over: a few bytes per thousand of its pixels. */
function blackPng(width: number, height: number, { depth = 8, interlaced = false, rows = height } = {}): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, 0, 0, 0, interlaced ? 1 : 0], 8);
  const lines = Buffer.alloc((1 + (width * depth) / 8) * rows);
  const chunk = (type: string, data: Uint8Array) => {
    const named = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The most memory a process ever had, in MB. */
async function peakMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** A connection as a stranger opens it; what comes back is collected. */
async function stranger(url: string): Promise<{ socket: Socket; heard: () => string; closed: Promise<unknown> }> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  let text = "";
  socket.on("data", (part) => {
    text += part.toString("latin1");
  });
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await Promise.race([once(socket, "connect"), closed]);
  return { socket, heard: () => text, closed };
}

async function served(t: Parameters<typeof startRunner>[0], serving: object = {}) {
  const { host, url } = await startRunner(t, { serving });
  await serve(host, slotOf(await makeManifest([await picture()])));
  return { host, url, pid: host.pid ?? 0 };
}

test("pictures that are tiny, huge or far larger than their bytes are answered or refused within bounded memory", async (t) => {
  const { host, url, pid } = await served(t);
  const ask = async (bytes: Buffer) => {
    const response = await infer(url, bytes, "image/png");
    return [response.status, ((await response.json()) as Partial<Refused>).code];
  };
  assert.deepEqual(await ask(blackPng(1, 1)), [200, undefined]);
  const beforeMb = await peakMb(pid);
  assert.deepEqual(await ask(blackPng(30_000, 30_000, { rows: 1 })), [413, "image/too-large"]);
  assert.deepEqual(await ask(blackPng(1, 30_000)), [200, undefined]);
  assert.deepEqual(await ask(blackPng(7000, 7000, { rows: 10 })), [400, "image/invalid"]);
  const bomb = blackPng(7000, 7000);
  assert.ok(bomb.length < 100_000);
  const bombs = await Promise.all(Array.from({ length: 16 }, () => ask(bomb)));
  assert.deepEqual(new Set(bombs.map(String)), new Set(["200,"]));
  const held = blackPng(9000, 5000, { depth: 16, interlaced: true, rows: 10 });
  const interlaced = await Promise.all(Array.from({ length: 16 }, () => ask(held)));
  assert.ok(
    interlaced.every(([status]) => status === 400 || status === 413),
    String(interlaced),
  );
  const grownMb = (await peakMb(pid)) - beforeMb;
  assert.ok(grownMb < 600, `the runner grew by ${grownMb.toFixed(0)} MB`);
  const [window] = await host.takeWindows();
  assert.equal(window?.errors, 0, "bad pictures do not speak against the version");
});

test("JSON that is far larger in memory than in bytes is refused, and numbers that are none do not count against the model", async (t) => {
  const { host, url, pid } = await served(t);
  const beforeMb = await peakMb(pid);
  for (const text of ["[".repeat(19e6), '{"a":'.repeat(3e6), `[${"[],".repeat(6e6)}1]`]) {
    const response = await infer(url, text, "application/json");
    assert.deepEqual([response.status, ((await response.json()) as Refused).code], [400, "request/invalid"]);
  }
  const grownMb = (await peakMb(pid)) - beforeMb;
  assert.ok(grownMb < 400, `the runner grew by ${grownMb.toFixed(0)} MB`);
  const data = new Float32Array(3 * 48 * 192).fill(Number.NaN);
  const input = {
    name: "x",
    shape: [1, 3, 48, 192],
    datatype: "FP32",
    parameters: { binary_data_size: data.byteLength },
  };
  const json = Buffer.from(JSON.stringify({ inputs: [input] }));
  const headers = { "inference-header-content-length": String(json.length) };
  const body = Buffer.concat([json, Buffer.from(data.buffer)]);
  const nan = await fetch(`${url}${path}`, { method: "POST", headers, body });
  assert.deepEqual([nan.status, ((await nan.json()) as Refused).code], [400, "input/invalid"]);
  assert.equal((await infer(url, await picture())).status, 200);
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.inputs, window?.errors], [1, 0]);
});

test("clients that are slow, silent or gone lose their place, and others are served meanwhile", async (t) => {
  const { url } = await served(t, { arrivalMs: 600 });
  const silent = await stranger(url);
  const slow = await stranger(url);
  slow.socket.write("POST / HTTP/1.1\r\nhost: x\r\n");
  const drip = setInterval(() => slow.socket.write("x-a: b\r\n"), 50);
  t.after(() => clearInterval(drip));
  const half = await stranger(url);
  half.socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 1000\r\n\r\nabc`);
  const gone = await stranger(url);
  gone.socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 1000\r\n\r\nabc`);
  gone.socket.destroy();
  assert.equal((await infer(url, await picture())).status, 200);
  await Promise.all([silent, slow, half].map(({ closed }) => closed));
  for (const { heard } of [slow, half]) assert.match(heard(), /^HTTP\/1\.1 408 .*"code":"request\/late"/s);
  const noHttp = await stranger(url);
  noHttp.socket.write("\x16\x03\x01 this is no HTTP\r\n\r\n");
  await noHttp.closed;
  assert.match(noHttp.heard(), /^HTTP\/1\.1 400 .*"code":"request\/invalid"/s);
  const text = async () => (await fetch(`${url}/metrics`)).text();
  await until("the client that left is counted", async () => /muster_clients_gone_total [1-9]/.test(await text()));
  assert.match(await text(), /muster_connections_refused_total [3-9]/);
});

test("ten thousand connections cost those beyond the limit their connection, and nobody else anything", async (t) => {
  const { url, pid } = await served(t, { maxConnections: 64, arrivalMs: 1000 });
  const beforeMb = await peakMb(pid);
  const jpeg = await picture();
  let dropped = 0;
  // In waves, because this process may not open so many files at once everywhere.
  for (let wave = 0; wave < 20; wave += 1) {
    const many = await Promise.all(Array.from({ length: 500 }, () => stranger(url)));
    const isClosed = many.map(async ({ closed }) => {
      await closed;
      dropped += 1;
    });
    await until("the surplus is closed", () => many.filter(({ socket }) => socket.destroyed).length >= 500 - 64);
    for (const { socket } of many) socket.destroy();
    await Promise.all(isClosed);
  }
  assert.equal(dropped, 10_000);
  await until("a place is free again", async () =>
    infer(url, jpeg).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  const grownMb = (await peakMb(pid)) - beforeMb;
  assert.ok(grownMb < 100, `the runner grew by ${grownMb.toFixed(0)} MB`);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.ok(Number(/muster_connections_dropped_total (\d+)/.exec(metrics)?.[1]) >= 20 * (500 - 64) - 500, metrics);
});

test("bodies in memory are bounded in all, however many clients send", async (t) => {
  const { url } = await served(t, { maxBodiesBytes: 3_000_000, maxBodyBytes: 2_000_000 });
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 1900000\r\n\r\n`;
  const holders = await Promise.all(Array.from({ length: 4 }, () => stranger(url)));
  for (const { socket } of holders) socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(1_000_000)]));
  await until("one is refused", () => holders.some(({ heard }) => /^HTTP\/1\.1 429 .*retry-after: 1/is.test(heard())));
  for (const { socket } of holders) socket.destroy();
  const jpeg = await picture();
  await until("their memory is free again", async () => (await infer(url, jpeg)).status === 200);
});
