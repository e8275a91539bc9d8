import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { request as ask } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { decodeImage, imageTensor } from "@muster/shared/inference";
import { classifyHere, infer, makeManifest, picture, serve, slotOf, startRunner, temporaryFolder } from "../testing.js";

const path = "/v2/models/label-orientation/infer";

interface Refused {
  readonly error: string;
  readonly code: string;
}
interface Answers {
  readonly model_version: string;
  readonly answers: readonly { readonly file: string; readonly label?: string; readonly code?: string }[];
}

test("binary tensors are taken and given as the protocol's extension says", async (t) => {
  const { host, url } = await startRunner(t);
  const manifest = await makeManifest([await picture()]);
  await serve(host, slotOf(manifest));
  const [expected] = await classifyHere(manifest, [await picture(4)]);
  const data = imageTensor(await decodeImage(await picture(4), manifest.preprocess), manifest.preprocess);
  const input = {
    name: "x",
    shape: [1, 3, 48, 192],
    datatype: "FP32",
    parameters: { binary_data_size: data.byteLength },
  };
  const send = async (parameters: object, cut = 0, length?: string) => {
    const json = Buffer.from(JSON.stringify({ id: "b", inputs: [input], parameters }));
    const body = Buffer.concat([json, Buffer.from(data.buffer, 0, data.byteLength - cut)]);
    const headers = { "inference-header-content-length": length ?? String(json.length) };
    return fetch(`${url}${path}`, { method: "POST", headers, body });
  };
  const binary = await send({ binary_data_output: true });
  assert.equal(binary.status, 200);
  const headerLength = Number(binary.headers.get("inference-header-content-length"));
  const bytes = await binary.arrayBuffer();
  const header = JSON.parse(Buffer.from(bytes, 0, headerLength).toString());
  assert.deepEqual(header, {
    ...{ model_name: "label-orientation", model_version: "1.0.0", id: "b" },
    outputs: [{ name: "softmax_0.tmp_0", datatype: "FP32", shape: [1, 2], parameters: { binary_data_size: 8 } }],
  });
  const scores = new Float32Array(bytes.slice(headerLength));
  assert.equal(scores.length, 2);
  for (const [at, score] of scores.entries()) assert.ok(Math.abs(score - (expected?.scores[at] ?? -1)) < 1e-4);
  const json = (await (await send({})).json()) as { outputs: { data: number[] }[] };
  assert.deepEqual(json.outputs[0]?.data, [...scores], "binary in, JSON out");
  for (const [cut, length, message] of [
    [4, undefined, /body is cut off/],
    [0, "99999999", /it is cut off/],
    [0, "x", /must be a number of bytes/],
    [0, "3", /is no JSON/],
  ] as const) {
    const refused = await send({}, cut, length);
    assert.equal(refused.status, 400);
    assert.match(((await refused.json()) as Refused).error, message);
  }
});

test("the files of a form are answered one by one, in their order, and a bad one costs the others nothing", async (t) => {
  const { host, url } = await startRunner(t);
  const manifest = await makeManifest([await picture()]);
  await serve(host, slotOf(manifest));
  const pictures = await Promise.all([1, 2, 3].map((seed) => picture(seed)));
  const expected = await classifyHere(manifest, pictures);
  const form = new FormData();
  for (const [at, bytes] of pictures.entries()) form.append("image", new Blob([Uint8Array.from(bytes)]), `${at}.jpg`);
  form.append("image", new Blob(["no picture"]), "bad.jpg");
  const response = await fetch(`${url}${path}`, { method: "POST", body: form });
  assert.equal(response.status, 200);
  const { answers, model_version } = (await response.json()) as Answers;
  assert.equal(model_version, "1.0.0");
  assert.deepEqual(
    answers.map(({ file, label, code }) => [file, label, code]),
    [...expected.map(({ label }, at) => [`${at}.jpg`, label, undefined]), ["bad.jpg", undefined, "image/invalid"]],
  );
  const bad = new FormData();
  bad.append("image", new Blob(["no picture"]), "bad.jpg");
  assert.equal((await fetch(`${url}${path}`, { method: "POST", body: bad })).status, 400);
  const cut = await infer(url, "--b\r\n", "multipart/form-data; boundary=b");
  assert.match(((await cut.json()) as Refused).error, /cut off/);
  const empty = await infer(url, "--b--", "multipart/form-data; boundary=b");
  assert.match(((await empty.json()) as Refused).error, /no files/);
});

test("bytes without a type are known by what they are, and a form's own type is refused with what to do", async (t) => {
  const { host, url } = await startRunner(t);
  await serve(host, slotOf(await makeManifest([await picture()])));
  assert.equal((await infer(url, await picture(), "application/octet-stream")).status, 200);
  const curl = await infer(url, await picture(), "application/x-www-form-urlencoded");
  assert.equal(curl.status, 415);
  assert.match(((await curl.json()) as Refused).error, /with curl: -H/);
  const headers = { "content-type": "image/jpeg", "content-encoding": "gzip" };
  const gzip = await fetch(`${url}${path}`, { method: "POST", headers, body: "x" });
  assert.equal(gzip.status, 415);
  assert.match(((await gzip.json()) as Refused).error, /encoded as gzip/);
  assert.equal((await fetch(`${url}${path}`)).status, 405);
  assert.equal((await fetch(`${url}/v2/models/%ff`)).status, 400);
});

test("a Unix socket serves the same, and only its owner and group may open it", async (t) => {
  const socketPath = join(await temporaryFolder(), "inference.sock");
  const { host } = await startRunner(t, { serving: { socket: socketPath } });
  await serve(host, slotOf(await makeManifest([await picture()])));
  const jpeg = await picture();
  const headers = { "content-type": "image/jpeg", "content-length": jpeg.length };
  const status = await new Promise((resolve, reject) => {
    const request = ask({ socketPath, path, method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("error", reject);
    request.end(jpeg);
  });
  assert.equal(status, 200);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o660);
  await assert.rejects(startRunner(t, { serving: { socket: socketPath } }), { code: "port/in-use", message: /socket/ });
});

test("metrics count what happened, per model and version", async (t) => {
  const { host, url } = await startRunner(t);
  await serve(host, slotOf(await makeManifest([await picture()])));
  for (let at = 0; at < 3; at += 1) assert.equal((await infer(url, await picture())).status, 200);
  assert.equal((await infer(url, "x")).status, 400);
  await host.takeWindows();
  const text = await (await fetch(`${url}/metrics`)).text();
  const of = '{model="label-orientation",version="1.0.0"}';
  for (const line of [
    'muster_requests_total{status="200"} 3',
    'muster_requests_total{status="400"} 1',
    `muster_inputs_total${of} 3`,
    `muster_input_errors_total${of} 0`,
    `muster_input_duration_seconds_count${of} 3`,
    `muster_input_duration_seconds_bucket${of.slice(0, -1)},le="+Inf"} 3`,
    `muster_queue_length${of} 0`,
    `muster_model_serving${of} 1`,
  ]) {
    assert.ok(text.split("\n").includes(line), `${line} in:\n${text}`);
  }
  const values = (series: RegExp) => [...text.matchAll(series)].map(([, value]) => Number(value));
  const upTo = values(/^muster_input_duration_seconds_bucket\{.*\} (\S+)$/gm);
  assert.ok(upTo.length > 10, text);
  assert.deepEqual(
    upTo,
    upTo.toSorted((a, b) => a - b),
    "each bucket holds those below it",
  );
  const [sum = 0] = values(/^muster_input_duration_seconds_sum\{.*\} (\S+)$/gm);
  const parts = values(/^muster_input_stage_seconds_total\{.*,stage="(?:pre|queue|run|post)"\} (\S+)$/gm);
  assert.equal(parts.length, 4);
  assert.ok(sum > 0 && Math.abs(parts.reduce((a, b) => a + b) - sum) < 1e-3, `${parts} make up ${sum}`);
});
