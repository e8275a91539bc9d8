import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Manifest, sha256 } from "@muster/shared";
import { classesFromRuns, type MaskAnswer } from "@muster/shared/inference";
import { modelFile, serve, slotOf, startRunner } from "../testing.js";
import { classColour, indexedPng } from "./indexed-png.js";

interface Raw {
  readonly data: Buffer;
  readonly info: { readonly width: number; readonly height: number; readonly channels: number };
}
type MakePicture = (
  bytes: Uint8Array,
  options: { raw: { width: number; height: number; channels: 1 } },
) => { png(): { toBuffer(): Promise<Buffer> } };
interface Opened {
  metadata(): Promise<{ format: string; isPalette: boolean }>;
  removeAlpha(): { raw(): { toBuffer(options: { resolveWithObject: true }): Promise<Raw> } };
}
const sharp = createRequire(import.meta.resolve("@muster/shared"))("sharp") as (bytes: Uint8Array) => Opened;

/** The colours of a picture, one text per pixel. */
async function coloursOf(png: Uint8Array): Promise<{ width: number; height: number; colours: string[] }> {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const colours = Array.from({ length: width * height }, (_, at) =>
    data.subarray(at * channels, at * channels + 3).join(),
  );
  return { width, height, colours };
}

test("a mask as PNG shows every class in a colour of its own", async () => {
  const pixels = Uint8Array.from({ length: 32 * 8 }, (_, at) => at);
  const png = await indexedPng(32, 8, pixels);
  assert.deepEqual(
    await sharp(png)
      .metadata()
      .then(({ format, isPalette }) => [format, isPalette]),
    ["png", true],
  );
  const { width, height, colours } = await coloursOf(png);
  assert.deepEqual([width, height], [32, 8]);
  assert.deepEqual(
    colours,
    Array.from(pixels, (klass) => classColour(klass).join()),
  );
  assert.equal(new Set(colours).size, 256);
  assert.deepEqual([0, 1, 2, 15].map(classColour), [
    [0, 0, 0],
    [128, 0, 0],
    [0, 128, 0],
    [192, 128, 128],
  ]);
});

const normal = { colour: "bgr", mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** White paper, 320 × 80, on which some letters are painted. */
function paintedLetters(): Promise<Buffer> {
  const letters = ["#.#.####.#...#..", "#.#.#....#...#..", "###.###..#...#..", "#.#.#....#...#..", "#.#.####.###.###"];
  const raw = new Uint8Array(320 * 80).fill(255);
  for (let y = 20; y < 60; y += 1) {
    for (let x = 80; x < 240; x += 1) {
      if (letters[Math.floor((y - 20) / 8)]?.[Math.floor((x - 80) / 10)] === "#") raw[y * 320 + x] = 0;
    }
  }
  return (sharp as unknown as MakePicture)(raw, { raw: { width: 320, height: 80, channels: 1 } })
    .png()
    .toBuffer();
}

/** The real detector of text, read as a segmentation into paper and text. */
async function textMap(sample: Buffer): Promise<{ manifest: Manifest; file: string }> {
  const file = join(dirname(modelFile), "ch_PP-OCRv4_det_infer.onnx");
  const blob = { sha256: sha256(await readFile(file)), sizeBytes: 1 };
  const manifest = Manifest.parse({
    ...{ model: "text-map", version: "1.0.0", release: 1, createdMs: 0, task: "segmentation" },
    ...{ metadata: {}, budgets: {}, baseline: {} },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, "h", "w"] }],
      outputs: [{ name: "sigmoid_0.tmp_0", dtype: "float32", shape: ["n", 1, "h", "w"] }],
    },
    preprocess: { resize: { width: 320, height: 320, mode: "contain" }, ...normal },
    postprocess: { format: "threshold", labels: ["paper", "text"], threshold: 0.3 },
    selfTest: { samples: [{ input: { sha256: sha256(sample), sizeBytes: sample.length }, shares: {} }] },
  });
  return { manifest, file };
}

test("who accepts a PNG gets the mask of JSON as one, and a form answers in JSON all the same", async (t) => {
  const { host, url } = await startRunner(t);
  const bytes = await paintedLetters();
  const { manifest, file } = await textMap(bytes);
  await serve(host, slotOf(manifest, file));
  const address = `${url}/v2/models/text-map/infer`;
  const ask = (accept: string, body: Uint8Array | FormData = bytes) =>
    fetch(address, { method: "POST", headers: { accept }, body });

  const { mask, shares } = (await (await ask("*/*")).json()) as MaskAnswer;
  assert.deepEqual([mask.width, mask.height], [320, 80]);
  assert.ok((shares.text ?? 0) > 0.01 && (shares.text ?? 0) < 0.99, JSON.stringify(shares));
  const response = await ask("image/png");
  assert.deepEqual(
    ["content-type", "muster-model", "muster-version"].map((name) => response.headers.get(name)),
    ["image/png", "text-map", "1.0.0"],
  );
  assert.ok(Number(response.headers.get("muster-latency-ms")) > 0);
  const { width, height, colours } = await coloursOf(new Uint8Array(await response.arrayBuffer()));
  assert.deepEqual([width, height], [mask.width, mask.height]);
  assert.deepEqual(
    colours,
    Array.from(classesFromRuns(mask), (klass) => classColour(klass).join()),
  );

  const form = new FormData();
  for (const name of ["a", "b"]) form.append(name, new Blob([new Uint8Array(bytes)]), `${name}.png`);
  const { answers } = (await (await ask("image/png", form)).json()) as { answers: MaskAnswer[] };
  assert.deepEqual(
    answers.map((one) => one.mask),
    [mask, mask],
  );
  const refused = await ask("image/png", Buffer.from("no picture"));
  assert.equal(refused.status, 400);
  assert.equal(((await refused.json()) as { code: string }).code, "image/invalid");
});
