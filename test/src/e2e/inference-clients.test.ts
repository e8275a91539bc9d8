import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Manifest, sha256 } from "@muster/shared";
import { benchModels } from "../bench/inference-models.js";
import { identityModel, identityTensors } from "../fixtures/identity-model.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { pythonWith } from "../fleet/python-package.js";
import { serveModel } from "../fleet/served-model.js";
import { runTool } from "../fleet/tool-run.js";
import { tritonScript } from "./triton-client.js";

const run = promisify(execFile);
const triton = "tritonclient[http]==2.73.0";
const datatypes: Readonly<Record<string, string>> = {
  ...{ float32: "FP32", float16: "FP16", float64: "FP64", bool: "BOOL" },
  ...{ uint8: "UINT8", uint16: "UINT16", uint32: "UINT32", uint64: "UINT64" },
  ...{ int8: "INT8", int16: "INT16", int32: "INT32", int64: "INT64" },
};

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-clients-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("tritonclient asks a model with many inputs and outputs of every type, as JSON and as binary data", async (t) => {
  const installed = await pythonWith(triton);
  if ("unreachable" in installed) return t.skip(installed.unreachable);
  const folder = await folderOf(t);
  const bytes = identityModel();
  const modelPath = join(folder, "identity.onnx");
  await writeFile(modelPath, bytes);
  const blob = { sha256: sha256(bytes), sizeBytes: bytes.length };
  const manifest = Manifest.parse({
    ...{ model: "identity", version: "2.1.0", release: 1, createdMs: 0, task: "raw" },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    ...{ tensors: identityTensors, preprocess: { decode: "tensors" }, postprocess: {} },
    selfTest: { tolerance: 0.01, samples: [{ input: blob, outputs: {} }] },
    ...{ budgets: {}, baseline: {}, metadata: {} },
  });
  const served = await serveModel(manifest, modelPath, 2);
  t.after(() => served.close());
  const script = join(folder, "client.py");
  await writeFile(script, tritonScript);
  const typed = ({ name, dtype }: { name: string; dtype: string }) => [name, datatypes[dtype]];
  const { inputs, outputs } = identityTensors;
  const types = JSON.stringify({ inputs: inputs.map(typed), outputs: outputs.map(typed) });
  const { stdout } = await run(installed.python, [script, new URL(served.url).host, "identity", types]);
  const { live, ready, modelReady, server, metadata, ids, wrongShape, unknown } = JSON.parse(stdout);
  assert.deepEqual([live, ready, modelReady, ids], [true, true, true, ["r1", "r1", "r1", "r1"]]);
  assert.deepEqual([server.name, server.extensions], ["muster", ["binary_tensor_data"]]);
  assert.deepEqual(metadata.versions, ["2.1.0"]);
  assert.deepEqual(metadata.inputs[0], { name: "in_float32", datatype: "FP32", shape: [-1, 2] });
  assert.match(wrongShape[1], /inputs\[0\]\.shape: is \[1, 3\], expected \[n, 2\]/);
  assert.match(unknown[1], /no model nothing/);
});

test("curl sends a picture, a form and a tensor, and gets what it can read", async (t) => {
  const folder = await folderOf(t);
  const [classifier] = benchModels();
  assert.ok(classifier !== undefined);
  const served = await serveModel(classifier.manifest, classifier.bare.modelFile, 1);
  t.after(() => served.close());
  const pictures = [true, false].map((rotated, seed) => renderLabel({ text: labelText(seed), rotated, seed }));
  const files = [join(folder, "a.jpg"), join(folder, "b.jpg")] as const;
  for (const [at, path] of files.entries()) await writeFile(path, (await pictures[at]) ?? "");
  const url = `${served.url}/v2/models/classifier/infer`;
  const curl = async (...args: string[]) => {
    const { code, stdout, stderr } = await runTool("curl", ["-sS", ...args]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const one = await curl("-H", "content-type: image/jpeg", "--data-binary", `@${files[0]}`, url);
  assert.equal(one.label, "rotated-180");
  const { answers } = await curl("-F", `image=@${files[0]}`, "-F", `image=@${files[1]}`, url);
  assert.deepEqual(
    answers.map(({ file, label }: { file: string; label: string }) => [file, label]),
    [
      ["a.jpg", "rotated-180"],
      ["b.jpg", "upright"],
    ],
  );
  const data = new Array<number>(3 * 48 * 192).fill(0);
  const request = join(folder, "request.json");
  await writeFile(request, JSON.stringify({ inputs: [{ name: "x", shape: [1, 3, 48, 192], datatype: "FP32", data }] }));
  const { outputs } = await curl("-H", "content-type: application/json", "--data", `@${request}`, url);
  assert.deepEqual([outputs[0].shape, outputs[0].data.length], [[1, 2], 2]);
  const forgotten = await curl("--data-binary", `@${files[0]}`, url);
  assert.match(forgotten.error, /with curl: -H 'content-type: image\/jpeg'/);
});
