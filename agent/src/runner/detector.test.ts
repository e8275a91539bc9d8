import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Manifest, sha256 } from "@muster/shared";
import { decodeInput, type NamedTensor, type SelfTestLimits } from "@muster/shared/inference";
import { Engine } from "./engine.js";
import { infer, modelFile, picture, serve, slotOf, startRunner } from "./testing.js";

/** A real detector of lines of text: input `x` float32 [n, 3, h, w], output [n, 1, h, w]. */
const detectorFile = join(dirname(modelFile), "ch_PP-OCRv4_det_infer.onnx");

/** A manifest whose one sample expects these boxes. */
async function detector(sample: Buffer, boxes: number[][]): Promise<Manifest> {
  const blob = { sha256: sha256(await readFile(detectorFile)), sizeBytes: 1 };
  return Manifest.parse({
    ...{
      model: "lines",
      version: "1.0.0",
      release: 1,
      createdMs: 0,
      task: "text-detection",
      metadata: {},
      budgets: {},
    },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, "h", "w"] }],
      outputs: [{ name: "sigmoid_0.tmp_0", dtype: "float32", shape: ["n", 1, "h", "w"] }],
    },
    preprocess: { resize: { maxSide: 320, multipleOf: 32 }, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    postprocess: { boxThreshold: 0.3 },
    selfTest: { samples: [{ input: { sha256: sha256(sample), sizeBytes: sample.length }, boxes }] },
    baseline: { objects: { kind: "continuous", edges: [0.5], counts: [10, 10] } },
  });
}

test("a model of another task serves with the answer of its task, and counts what its windows count", async (t) => {
  const { host, url } = await startRunner(t);
  const bytes = await picture(1);
  const manifest = await detector(bytes, []);
  await serve(host, slotOf(manifest, detectorFile));
  const response = await infer(url, bytes, "image/jpeg", "lines");
  const answer = (await response.json()) as { model_name: string; boxes: { box: object; corners: object[] }[] };
  assert.equal(response.status, 200);
  assert.equal(answer.model_name, "lines");
  assert.ok(Array.isArray(answer.boxes), JSON.stringify(answer));
  const [window] = await host.takeWindows();
  assert.deepEqual([window?.inputs, window?.errors, window?.classes], [1, 0, {}]);
  assert.equal(
    window?.features.objects?.reduce((a, b) => a + b),
    1,
  );
});

test("a client's own tensor is answered as it is, and adds only what is known without a picture", async () => {
  const bytes = await picture(1);
  const manifest = await detector(bytes, [[0, 0, 5, 5]]);
  const engine = await Engine.open({ modelPath: detectorFile, provider: "cpu", threads: 1, manifest });
  const x: NamedTensor = { name: "x", dtype: "float32", shape: [1, 3, 64, 96], data: new Float32Array(3 * 64 * 96) };
  const { rows, outputs } = await engine.tensors([x]);
  assert.deepEqual([outputs[0]?.name, outputs[0]?.shape], ["sigmoid_0.tmp_0", [1, 1, 64, 96]]);
  assert.deepEqual(rows, [{ features: { objects: 0, confidence: 0 } }]);

  const { inputs } = await decodeInput(manifest, bytes);
  const { readings } = await engine.read(inputs);
  const fault = readings[0]?.fault({ boxes: [[0, 0, 5, 5]] }, { tolerance: 0.1, minIou: 0.8 } as SelfTestLimits);
  assert.match(fault ?? "", /expected box 1 at \[0, 0, 5, 5\]/);
  await engine.close();
});

test("outputs in which nothing is counted are not read beyond seeing that they are numbers, and every row counts as answered", async (t) => {
  const manifest = await detector(await picture(1), []);
  const spec = { modelPath: detectorFile, provider: "cpu", threads: 1 };
  const counting = await Engine.open({ ...spec, manifest });
  const plain = await Engine.open({ ...spec, manifest: { ...manifest, baseline: {} } });
  t.after(() => Promise.all([counting.close(), plain.close()]));
  const nanFrom = (row: number): NamedTensor => {
    const data = new Float32Array(2 * 3 * 64 * 96).fill(Number.NaN, row * 3 * 64 * 96);
    return { name: "x", dtype: "float32", shape: [2, 3, 64, 96], data };
  };
  const refused = { code: "input/invalid", message: /holds NaN/ };
  await assert.rejects(counting.tensors([nanFrom(1)]), refused);
  await assert.rejects(plain.tensors([nanFrom(0)]), refused);
  const { rows, outputs } = await plain.tensors([nanFrom(1)]);
  assert.deepEqual(rows, [{ features: {} }, { features: {} }]);
  assert.deepEqual(outputs[0]?.shape, [2, 1, 64, 96]);
});

test("a reconstruction of a client's own tensors is held against the row it is of", async (t) => {
  const manifest = {
    ...(await detector(await picture(1), [])),
    ...{ task: "anomaly-detection", postprocess: { score: "reconstruction", threshold: 1 }, baseline: {} },
  } as Manifest;
  const engine = await Engine.open({ modelPath: detectorFile, provider: "cpu", threads: 1, manifest });
  t.after(() => engine.close());
  const length = 3 * 64 * 96;
  const data = new Float32Array(2 * length).fill(3, length);
  const { rows } = await engine.tensors([{ name: "x", dtype: "float32", shape: [2, 3, 64, 96], data }]);
  assert.deepEqual(
    rows.map(({ label }) => label),
    ["normal", "anomaly"],
  );
});
