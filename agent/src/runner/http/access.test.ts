import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { AgentConfig } from "../../config.js";
import { selfSigned } from "../../testing/self-signed.js";
import { startRunner, temporaryFolder } from "../testing.js";

const token = "0123456789abcdef";

/** Files as a configuration names them. */
async function accessFiles(tokens = `${token}\n\nanother-token-of-mine\n`) {
  const folder = await temporaryFolder();
  const span = { fromMs: Date.now() - 1000, expiresMs: Date.now() + 3_600_000 };
  const { certificate, privateKey } = await selfSigned("edge-1", span);
  const [certificateFile, keyFile, tokenFile] = ["cert.pem", "key.pem", "tokens"].map((name) => join(folder, name)) as [
    ...[string, string, string],
  ];
  await writeFile(certificateFile, certificate);
  await writeFile(keyFile, privateKey);
  await writeFile(tokenFile, tokens);
  return { certificate, tls: { certificateFile, keyFile }, tokenFile };
}

function statusOf(url: string, ca: string, authorization?: string): Promise<number | undefined> {
  const headers = authorization === undefined ? {} : { authorization };
  return new Promise((resolve, reject) => {
    const options = { ca, headers, agent: false, checkServerIdentity: () => undefined };
    get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once("error", reject);
  });
}

test("with TLS and tokens nothing but health is told without one of them", async (t) => {
  const { certificate, tls, tokenFile } = await accessFiles();
  const { url } = await startRunner(t, { serving: { tls, tokenFile } });
  assert.match(url, /^https:/);
  const cases: [string, string | undefined, number][] = [
    ["/v2/health/live", undefined, 200],
    ["/v2", undefined, 401],
    ["/metrics", undefined, 401],
    ["/v2/models/any", "Bearer 0123456789abcdeF", 401],
    ["/v2", `Basic ${token}`, 401],
    ["/v2", `Bearer ${token}`, 200],
    ["/v2", "bearer another-token-of-mine", 200],
  ];
  for (const [path, authorization, status] of cases) {
    assert.equal(await statusOf(`${url}${path}`, certificate, authorization), status, `${path} ${authorization}`);
  }
  await assert.rejects(fetch(url.replace("https", "http")), "a client without TLS gets no answer");
  assert.equal(await statusOf(`${url}/v2/health/live`, certificate), 200);
});

test("files that cannot be used are named when the runner starts", async (t) => {
  const { tls } = await accessFiles();
  const started = (serving: object) => startRunner(t, { serving });
  const [short, empty] = [await accessFiles("short"), await accessFiles(" \n")];
  const cases: [object, RegExp][] = [
    [{ tls: { ...tls, keyFile: "/no/such/file" } }, /inferenceTls cannot be used: .*no such file/],
    [{ tls: { ...tls, keyFile: short.tls.keyFile } }, /inferenceTls cannot be used: /],
    [{ tokenFile: "/no/such/file" }, /inferenceTokenFile \/no\/such\/file cannot be read/],
    [{ tokenFile: short.tokenFile }, /has a token of less than 16 characters/],
    [{ tokenFile: empty.tokenFile }, /is empty; write a token into it/],
    [{ socket: "/no/such/folder/x.sock" }, /cannot listen on inferenceSocket/],
    [{ host: "192.0.2.1" }, /cannot listen on 192\.0\.2\.1:0/],
  ];
  for (const [serving, message] of cases) await assert.rejects(started(serving), { code: "config/invalid", message });
});

test("a configuration that serves others than this machine needs TLS and a token", () => {
  const problems = (config: object) =>
    AgentConfig.safeParse(config).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
  assert.deepEqual(problems({ inferenceHost: "127.0.0.2" }), []);
  assert.deepEqual(problems({ inferenceHost: "::1" }), []);
  const [tls = "", tokens = "", ...others] = problems({ inferenceHost: "0.0.0.0" });
  assert.deepEqual(others, []);
  assert.match(
    tls,
    /^inferenceTls: is needed because inferenceHost 0\.0\.0\.0 is not loopback; .* or use 127\.0\.0\.1/,
  );
  assert.match(tokens, /^inferenceTokenFile: is needed because/);
  const inferenceTls = { certificateFile: "a", keyFile: "b" };
  assert.deepEqual(problems({ inferenceHost: "::", inferenceTls, inferenceTokenFile: "c" }), []);
  assert.match(problems({ inferenceHost: "example.org" })[0] ?? "", /must be an IP address or localhost/);
  assert.match(problems({ inferenceTls: { ...inferenceTls, extra: 1 } })[0] ?? "", /extra/);
  assert.match(problems({ maxBodiesBytes: 1000 })[0] ?? "", /less than maxBodyBytes/);
});
