import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { generateSigningKey, type Manifest, type PushVersion, parseBundle } from "@muster/shared";
import { differences, releaseKeys } from "./signed-push.js";

const bundle = `
name: m
version: 1.0.0
task: image-classification
variants: [{ name: fp32, file: model.onnx, precision: fp32 }]
tensors:
  inputs: [{ name: x, dtype: float32, shape: [n, 3, 4, 4] }]
  outputs: [{ name: y, dtype: float32, shape: [n, 2] }]
preprocess: { resize: { width: 4, height: 4, mode: fill } }
postprocess: { labels: [up, down] }
selfTest: { samples: [{ file: a.jpg, expect: { label: up } }] }
`;
const [model, sample] = ["a".repeat(64), "b".repeat(64)];
const push = (encrypt = false): PushVersion => {
  return { bundle, files: { "model.onnx": model, "a.jpg": sample }, selfTest: true, encrypt };
};

/** What an honest hub prepares, with changes. */
function prepared(over: object = {}, artifact: object = {}): Manifest {
  const { name, variants, selfTest, baseline: _, ...rest } = parseBundle(bundle);
  const index = { sha256: "c".repeat(64), sizeBytes: 36 };
  return {
    ...{ ...rest, model: name, release: 1, createdMs: 0, baseline: {} },
    variants: variants.map(({ file: __, ...variant }) => ({
      ...variant,
      artifact: { sha256: model, sizeBytes: 1, index, ...artifact },
    })),
    selfTest: {
      tolerance: selfTest.tolerance,
      samples: selfTest.samples.map(({ expect }) => ({ input: { sha256: sample, sizeBytes: 1 }, ...expect })),
    },
    ...over,
  } as Manifest;
}

test("a release key comes from files, or from a variable with its line ends as they are or written out", async () => {
  const key = generateSigningKey();
  const pem = key.private.export({ type: "pkcs8", format: "pem" }).toString();
  const file = join(await mkdtemp(join(tmpdir(), "muster-key-")), "release.key.pem");
  await writeFile(file, pem);
  const ids = async (files: string[] | undefined, text?: string) =>
    (await releaseKeys(files, text === undefined ? {} : { MUSTER_RELEASE_KEY: text })).map((one) => one.public.keyid);
  const { keyid } = key.public;
  assert.deepEqual(await ids(undefined), []);
  assert.deepEqual(await ids(undefined, ""), []);
  assert.deepEqual(await ids(undefined, pem), [keyid]);
  assert.deepEqual(await ids(undefined, pem.trim().replaceAll("\n", "\\n")), [keyid]);
  assert.deepEqual(await ids([file, file], "not looked at"), [keyid, keyid]);
  await assert.rejects(ids(undefined, "no key"), {
    code: "usage/invalid",
    message: /MUSTER_RELEASE_KEY holds no signing key/,
  });
});

test("what an honest hub prepares is the bundle", () => {
  assert.deepEqual(differences(prepared(), push()), []);
  const encryption = { algorithm: "aes-256-gcm", plainSha256: model, plainBytes: 1 };
  assert.deepEqual(differences(prepared({}, { sha256: "d".repeat(64), encryption }), push(true)), []);
});

test("labels in a file are those of the bundle only by its digest", () => {
  const labels = "d".repeat(64);
  const text = bundle.replace("labels: [up, down]", "labelsFile: labels.txt");
  const { postprocess } = parseBundle(text);
  const ours: PushVersion = { ...push(), bundle: text, files: { ...push().files, "labels.txt": labels } };
  const fields = (sha256: string) => {
    const files = [{ path: "labels.txt", sha256, sizeBytes: 8 }];
    return differences(prepared({ postprocess, files }), ours).map(({ field }) => field);
  };
  assert.deepEqual(fields(labels), []);
  assert.deepEqual(fields("e".repeat(64)), ["files"]);
  assert.deepEqual(
    differences(prepared({ postprocess }), ours).map(({ field }) => field),
    ["files"],
    "and it must be there",
  );
});

test("whatever a hub changes is seen before it is signed", () => {
  const fields = (over: object, artifact: object = {}, encrypt = false) =>
    differences(prepared(over, artifact), push(encrypt)).map(({ field }) => field);
  assert.deepEqual(fields({ model: "other" }), ["model"]);
  assert.deepEqual(fields({ version: "2.0.0" }), ["version"]);
  assert.deepEqual(fields({ batching: { maxRows: 64, maxDelayMs: 1000 } }), ["batching"]);
  const other = { path: "labels.txt", sha256: sample, sizeBytes: 1 };
  assert.deepEqual(fields({ files: [other] }), ["files"], "a file that the bundle does not name");
  assert.deepEqual(fields({ budgets: { p95LatencyMs: 1 } }), ["budgets"]);
  assert.deepEqual(fields({ requires: { arch: ["x64"] } }), ["requires"]);
  assert.deepEqual(fields({ selfTest: { tolerance: 1, samples: [] } }), ["selfTest.tolerance", "selfTest.samples"]);
  assert.deepEqual(fields({}, { sha256: "e".repeat(64) }), ["variants"], "another model");
  const plainSha256 = "f".repeat(64);
  assert.deepEqual(fields({}, { encryption: { algorithm: "aes-256-gcm", plainSha256, plainBytes: 1 } }), ["variants"]);
  assert.deepEqual(fields({}, { encryption: { algorithm: "aes-256-gcm", plainSha256, plainBytes: 1 } }, true), [
    "variants",
  ]);
});
