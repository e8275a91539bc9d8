import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hardware } from "../protocol/hardware.js";
import { generateSigningKey, seal } from "./envelope.js";
import { engineClass, type PrebuiltEngine, prebuiltEngineType, verifyPrebuiltEngine } from "./prebuilt-engine.js";
import type { Root } from "./root.js";

const digest = (letter: string) => letter.repeat(64);
const release = generateSigningKey();
const role = (key: typeof release) => ({ keys: [key.public], threshold: 1 });
const other = role(generateSigningKey());
const root: Root = {
  version: 1,
  issuedMs: 0,
  expiresMs: 1,
  roles: { root: other, director: other, release: role(release) },
};
const blob = { sha256: digest("b"), sizeBytes: 9, index: { sha256: digest("c"), sizeBytes: 5 } };
const engine: PrebuiltEngine = {
  ...{ artifact: digest("a"), engineClass: digest("d"), builtBy: "jetson-1", createdMs: 0 },
  files: [{ name: "graph_1_sm87.engine", artifact: blob }],
};
const wanted = { artifact: engine.artifact, engineClass: engine.engineClass };
const signed = (document: object, key = release) =>
  seal(prebuiltEngineType, Buffer.from(JSON.stringify(document)), [key]);

test("an engine counts when the release role signed it, for this model file and this class", () => {
  assert.deepEqual(verifyPrebuiltEngine(signed(engine), root, wanted), engine);
  const refused: [object, RegExp][] = [
    [signed(engine, generateSigningKey()), /needs 1 trusted signature/],
    [signed({ ...engine, artifact: digest("e") }), /has artifact e+, expected a+/],
    [signed({ ...engine, engineClass: digest("e") }), /has engineClass e+, expected d+/],
    [signed({ ...engine, files: [] }), /files/],
    [signed({ ...engine, files: [...engine.files, ...engine.files] }), /a name is there twice/],
    [{ ...signed(engine), payloadType: "application/vnd.muster.manifest.v1+json" }, /expected application/],
  ];
  for (const [envelope, message] of refused) {
    assert.throws(() => verifyPrebuiltEngine(envelope, root, wanted), { code: "signature/invalid", message });
  }
});

test("a file of an engine lies in its folder, whatever it is called", () => {
  for (const name of ["../state.json", "a/b", ".hidden", "", "a\0b", "x".repeat(201)]) {
    const named = { ...engine, files: [{ name, artifact: blob }] };
    assert.throws(() => verifyPrebuiltEngine(signed(named), root, wanted), { code: "signature/invalid" }, name);
  }
});

const jetson: Hardware = {
  ...{
    platform: "linux",
    arch: "arm64",
    board: "Jetson Orin",
    cpu: "A78AE",
    cores: 6,
    memoryBytes: 8e9,
    freeDiskBytes: 1,
  },
  providers: ["cpu", "tensorrt"],
  onnxruntime: { version: "1.30.0", build: "one" },
  jetson: { module: "Orin NX", l4t: "36.4" },
  gpus: [{ name: "Orin", shared: true }],
};

test("devices are of one class when what engines depend on is the same, and of none without a known build", () => {
  const own = engineClass(jetson);
  assert.equal(engineClass({ ...jetson, freeDiskBytes: 2, memoryBytes: 8.1e9, board: "carrier of another make" }), own);
  const others: Partial<Hardware>[] = [
    { onnxruntime: { version: "1.30.0", build: "two" } },
    { jetson: { module: "Orin NX", l4t: "35.1" } },
    { gpus: [{ name: "Xavier", shared: true }] },
    { arch: "x64" },
  ];
  const classes = others.map((change) => engineClass({ ...jetson, ...change }));
  assert.equal(new Set([own, ...classes]).size, others.length + 1);
  const { onnxruntime: _, ...unknown } = jetson;
  assert.equal(engineClass(unknown), undefined);
});
