import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { decodeImage, imageTensor } from "@muster/shared/inference";
import { classifyHere, infer, makeManifest, picture, serve, slotOf, startRunner } from "../testing.js";

interface Answer {
  model_name: string;
  model_version: string;
  label: string;
  confidence: number;
  classes: { label: string; confidence: number }[];
  latencyMs: number;
}
interface TensorAnswer {
  id?: string;
  outputs: { name: string; shape: number[]; datatype: string; data: number[] }[];
}
interface Refusal {
  error: string;
  code: string;
}

test("a JPEG, PNG or WebP is answered with what the model says of it", async (t) => {
  const { host, url } = await startRunner(t);
  const manifest = await makeManifest([await picture()]);
  await serve(host, slotOf(manifest));
  for (const format of ["jpeg", "png", "webp"] as const) {
    const bytes = await picture(3, format);
    const [expected] = await classifyHere(manifest, [bytes]);
    const response = await infer(url, bytes, `image/${format}`);
    const answer = (await response.json()) as Answer;
    assert.equal(response.status, 200);
    assert.equal(answer.label, expected?.label);
    assert.ok(Math.abs(answer.confidence - (expected?.confidence ?? 0)) < 1e-5);
    assert.deepEqual([answer.model_name, answer.model_version], ["label-orientation", "1.0.0"]);
    assert.equal(answer.classes.length, 2);
    assert.ok(answer.latencyMs > 0);
  }
});

test("a tensor is answered with the raw output, row by row, as the Open Inference Protocol says", async (t) => {
  const { host, url } = await startRunner(t);
  const manifest = await makeManifest([await picture()]);
  await serve(host, slotOf(manifest));
  const pictures = [await picture(1), await picture(2)];
  const expected = await classifyHere(manifest, pictures);
  const rows = await Promise.all(
    pictures.map(async (bytes) => imageTensor(await decodeImage(bytes, manifest.preprocess), manifest.preprocess)),
  );
  const data = rows.flatMap((row) => Array.from(row as Float32Array));
  const ask = { id: "7", inputs: [{ name: "x", shape: [2, 3, 48, 192], datatype: "FP32", data }] };
  const response = await infer(url, JSON.stringify(ask), "application/json");
  const { id, outputs } = (await response.json()) as TensorAnswer;
  assert.equal(response.status, 200);
  assert.equal(id, "7");
  const [output] = outputs;
  assert.deepEqual([output?.name, output?.datatype, output?.shape], ["softmax_0.tmp_0", "FP32", [2, 2]]);
  const scores = expected.flatMap((answer) => [...answer.scores]);
  for (const [at, score] of scores.entries()) assert.ok(Math.abs(score - (output?.data[at] ?? -1)) < 1e-4);
  const [window] = await host.takeWindows();
  assert.equal(window?.inputs, 2);
});

test("bad input gets an error that says what is wrong with which field", async (t) => {
  const { host, url } = await startRunner(t);
  await serve(host, slotOf(await makeManifest([await picture()])));
  const input = { name: "x", shape: [1, 3, 48, 192], datatype: "FP32", data: new Array(3 * 48 * 192).fill(0) };
  const json = (changes: object) => JSON.stringify({ inputs: [{ ...input, ...changes }] });
  const jpeg = await picture();
  const cases: [string, string | Uint8Array, number, string, RegExp][] = [
    ["image/jpeg", "not a picture", 400, "image/invalid", /no JPEG, PNG or WebP/],
    ["image/jpeg", jpeg.subarray(0, jpeg.length / 2), 400, "image/invalid", /cannot be decoded/],
    ["image/jpeg", "", 400, "image/invalid", /no JPEG/],
    ["text/plain", "hello", 415, "request/unsupported-type", /image\/jpeg, image\/png/],
    ["image/jpeg", new Uint8Array(20_000_001), 413, "input/too-large", /20000000 bytes/],
    ["application/json", "{", 400, "request/invalid", /JSON/],
    ["application/json", "[]", 400, "request/invalid", /request does not fit/],
    ["application/json", "{}", 400, "request/invalid", /inputs:/],
    ["application/json", json({ name: "y" }), 400, "tensor/invalid", /inputs\[0\]\.name: is y, expected x/],
    ["application/json", json({ datatype: "INT8" }), 400, "tensor/invalid", /inputs\[0\]\.datatype: is INT8/],
    [
      "application/json",
      json({ shape: [1, 3, 48, 19] }),
      400,
      "tensor/invalid",
      /inputs\[0\]\.shape: is \[1, 3, 48, 19\]/,
    ],
    ["application/json", json({ shape: [0, 3, 48, 192] }), 400, "request/invalid", /inputs\[0\]\.shape\[0\]/],
    ["application/json", json({ shape: [65, 3, 48, 192] }), 400, "tensor/invalid", /at most 64/],
    [
      "application/json",
      json({ data: [1, 2] }),
      400,
      "tensor/invalid",
      /inputs\[0\]\.data: has 2 numbers, expected 27648/,
    ],
    ["application/json", json({ data: "many" }), 400, "request/invalid", /inputs\[0\]\.data: must be an array/],
    [
      "application/json",
      json({ data: [...input.data.slice(1), "x"] }),
      400,
      "tensor/invalid",
      /inputs\[0\]\.data: has "x" at 27647, which is no float32/,
    ],
    ["application/json", json({ data: [1e300, ...input.data.slice(1)] }), 400, "tensor/invalid", /has 1e\+300 at 0/],
  ];
  for (const [type, body, status, code, message] of cases) {
    const response = await infer(url, body, type);
    const refusal = (await response.json()) as Refusal;
    assert.deepEqual([response.status, refusal.code], [status, code], refusal.error);
    assert.match(refusal.error, message);
  }
  assert.equal((await infer(url, jpeg)).status, 200);
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.inputs, window?.errors], [1, 0], "bad input speaks against whoever sent it");
});

test("a model that is not there and one that does not serve yet are told apart", async (t) => {
  const { host, url } = await startRunner(t);
  const jpeg = await picture();
  const asked = async (model: string) => {
    const response = await infer(url, jpeg, "image/jpeg", model);
    return [response.status, ((await response.json()) as Refusal).code];
  };
  assert.deepEqual(await asked("label-orientation"), [503, "runner/not-serving"]);
  assert.equal((await fetch(`${url}/v2/health/ready`)).status, 503);
  const slot = slotOf(await makeManifest([jpeg]));
  await host.load(slot);
  assert.deepEqual(await asked("label-orientation"), [503, "runner/not-serving"]);
  await host.activate(slot.manifestDigest);
  assert.deepEqual(await asked("other"), [404, "model/unknown"]);
  await host.unload(slot.manifestDigest);
  assert.deepEqual(await asked("label-orientation"), [503, "runner/not-serving"]);
});

test("health and metadata are told as the Open Inference Protocol says", async (t) => {
  const { host, url } = await startRunner(t);
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const old = slotOf(await makeManifest([await picture()]));
  const next = slotOf(await makeManifest([await picture()], { version: "1.1.0", release: 2 }));
  await serve(host, old);
  await serve(host, next);
  const model = "/v2/models/label-orientation";
  assert.equal((await get("/v2")).body.name, "muster");
  assert.deepEqual(await get("/v2/health/live"), { status: 200, body: { live: true } });
  assert.deepEqual(await get("/v2/health/ready"), { status: 200, body: { ready: true } });
  assert.deepEqual((await get(model)).body, {
    name: "label-orientation",
    versions: ["1.0.0", "1.1.0"],
    platform: "onnx_onnxv1",
    inputs: [{ name: "x", datatype: "FP32", shape: [-1, 3, 48, 192] }],
    outputs: [{ name: "softmax_0.tmp_0", datatype: "FP32", shape: [-1, 2] }],
  });
  assert.equal((await get(`${model}/ready`)).status, 200);
  assert.equal((await get(`${model}/versions/1.1.0/ready`)).status, 200);
  assert.equal((await get(`${model}/versions/1.0.0/ready`)).status, 503);
  assert.equal((await get(`${model}/versions/9.9.9`)).status, 404);
  assert.equal((await get("/v2/nothing")).body.code, "request/not-found");
  const post = (version: string, body: Uint8Array) =>
    fetch(`${url}${model}/versions/${version}/infer`, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body,
    });
  assert.equal((await post("1.1.0", await picture())).status, 200);
  assert.equal((await post("1.0.0", await picture())).status, 404);
});

test("a request whose body arrives while versions change is answered by the one that serves at its end", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1 });
  const jpeg = await picture();
  const versions = ["1.0.0", "2.0.0", "3.0.0"].map(async (version) => slotOf(await makeManifest([jpeg], { version })));
  const [first, ...others] = await Promise.all(versions);
  assert.ok(first !== undefined);
  await serve(host, first);
  const headers = { "content-type": "image/jpeg", "content-length": jpeg.length, expect: "100-continue" };
  const asking = request(`${url}/v2/models/label-orientation/infer`, { method: "POST", headers });
  const answered = once(asking, "response") as Promise<[IncomingMessage]>;
  asking.flushHeaders();
  // Now it is read, and the version that it was let in for is still there.
  await once(asking, "continue");
  asking.write(jpeg.subarray(0, 100));
  for (const slot of others) await serve(host, slot);
  assert.ok(
    (await host.status()).models.every(({ version }) => version !== "1.0.0"),
    "that one is released",
  );
  asking.end(jpeg.subarray(100));
  const [response] = await answered;
  const body = JSON.parse(Buffer.concat(await response.toArray()).toString()) as { model_version?: string };
  assert.deepEqual([response.statusCode, body.model_version], [200, "3.0.0"]);
});

test("large JSON that is being read while versions change is answered by one that serves then", async (t) => {
  const { host, url } = await startRunner(t, { workers: 1 });
  const jpeg = await picture();
  const versions = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"];
  const slots = await Promise.all(versions.map(async (version) => slotOf(await makeManifest([jpeg], { version }))));
  const [first, ...others] = slots;
  assert.ok(first !== undefined);
  await serve(host, first);
  const input = { name: "x", shape: [60, 3, 48, 192], datatype: "FP32", data: new Array(60 * 3 * 48 * 192).fill(0.5) };
  const body = JSON.stringify({ inputs: [input] });
  const asked: Promise<Response>[] = [];
  for (const slot of others) {
    asked.push(infer(url, body, "application/json"), infer(url, body, "application/json"));
    await serve(host, slot);
  }
  for (const response of await Promise.all(asked)) {
    const answer = (await response.json()) as Partial<TensorAnswer & Refusal>;
    assert.equal(response.status, 200, answer.error);
    assert.deepEqual(answer.outputs?.[0]?.shape, [60, 2]);
  }
});
