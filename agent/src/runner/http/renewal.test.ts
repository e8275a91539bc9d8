import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect, type PeerCertificate } from "node:tls";
import { writeDurably } from "@muster/shared/node";
import { FakeClock } from "@muster/shared/testing";
import { selfSigned } from "../../testing/self-signed.js";
import { Buffers } from "../buffers.js";
import { defaultSettings, memoryLog, temporaryFolder, until } from "../testing.js";
import { jsonReply } from "./reply.js";
import { serveHttp } from "./server.js";
import { Traffic } from "./traffic.js";

const tokens = ["first-token-of-mine", "second-token-of-mine"] as const;

/** A server beyond loopback whose files may be renewed; `look` lets it find out. */
async function served(t: TestContext) {
  const folder = await temporaryFolder();
  const [certificateFile, keyFile, tokenFile] = ["cert.pem", "key.pem", "tokens"].map((name) => join(folder, name)) as [
    ...[string, string, string],
  ];
  const span = { fromMs: Date.now() - 1000, expiresMs: Date.now() + 3_600_000 };
  const [first, second] = [await selfSigned("edge-1", span), await selfSigned("edge-1", span)];
  await writeFile(certificateFile, first.certificate);
  await writeFile(keyFile, first.privateKey);
  await writeFile(tokenFile, tokens[0]);
  const [clock, log] = [new FakeClock(), memoryLog()];
  const server = await serveHttp(
    {
      routes: [{ method: "GET", path: "/who", answer: () => jsonReply(200, {}) }],
      ...{ traffic: new Traffic(), buffers: new Buffers(), clock, log },
    },
    { ...defaultSettings.serving, tls: { certificateFile, keyFile }, tokenFile },
  );
  t.after(() => server.close());
  const { hostname, port } = new URL(server.url);
  /** What a new connection is shown, and the status of a request with a token. */
  const ask = (token: string) =>
    new Promise<{ serial: string; status: number }>((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
        const { serialNumber } = socket.getPeerCertificate() as PeerCertificate;
        socket.end(`GET /who HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`);
        socket.once("data", (part) => resolve({ serial: serialNumber, status: Number(String(part).slice(9, 12)) }));
      });
      socket.once("error", reject);
    });
  /** What is told after a change; each reason is told once, so nothing may look before it is noted what was told until then. */
  const looks = async (event: string, setting: string, change: () => Promise<unknown>) => {
    const before = log.events.length;
    await change();
    const told = () =>
      log.events.findIndex((name, at) => at >= before && name === event && log.lines[at]?.setting === setting);
    await until(`${event} of ${setting}`, () => {
      clock.advance(10_000);
      return told() >= 0;
    });
    return log.lines[told()];
  };
  const serialOf = ({ certificate }: { certificate: string }) => new X509Certificate(certificate).serialNumber;
  return { certificateFile, keyFile, tokenFile, first, second, serialOf, ask, looks, log };
}

/** All at once, as tools that renew files do: a file that is half written is another fault. */
const put = (path: string, text: string) => writeDurably(path, text, 0o600);

test("a renewed certificate is shown without a restart, and only once its key is there too", async (t) => {
  const { certificateFile, keyFile, first, second, serialOf, ask, looks, log } = await served(t);
  assert.equal((await ask(tokens[0])).serial, serialOf(first));
  const warning = await looks("runner.access.unusable", "inferenceTls", () => put(certificateFile, second.certificate));
  assert.match(String(warning?.reason), /inferenceTls cannot be used: .*mismatch/i);
  assert.equal((await ask(tokens[0])).serial, serialOf(first), "what was good stays");
  await looks("runner.access.renewed", "inferenceTls", () => put(keyFile, second.privateKey));
  assert.deepEqual(await ask(tokens[0]), { serial: serialOf(second), status: 200 });
  const { length } = log.events;
  await looks("runner.access.unusable", "inferenceTls", () => rm(keyFile));
  assert.deepEqual(await ask(tokens[0]), { serial: serialOf(second), status: 200 });
  await looks("runner.access.unusable", "inferenceTls", () => put(keyFile, first.privateKey));
  assert.equal(log.events.length, length + 2, "each reason is told once");
});

test("changed tokens count without a restart, and a broken file takes nobody's away", async (t) => {
  const { tokenFile, ask, looks } = await served(t);
  const statuses = async () => [(await ask(tokens[0])).status, (await ask(tokens[1])).status];
  assert.deepEqual(await statuses(), [200, 401]);
  await looks("runner.access.renewed", "inferenceTokenFile", () => put(tokenFile, tokens[1]));
  assert.deepEqual(await statuses(), [401, 200]);
  const warning = await looks("runner.access.unusable", "inferenceTokenFile", () => put(tokenFile, "short"));
  assert.match(String(warning?.reason), /has a token of less than 16 characters/);
  assert.deepEqual(await statuses(), [401, 200]);
  await looks("runner.access.renewed", "inferenceTokenFile", () => put(tokenFile, tokens.join("\n")));
  assert.deepEqual(await statuses(), [200, 200]);
});
