import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { ImagePreprocess, SegmentationPostprocess, type Tensors } from "@muster/shared";
import type { MaskAnswer, SpecOf } from "@muster/shared/inference";
import { extendModel } from "../fixtures/extend-model.js";
import { textDetectorFile } from "../fixtures/ocr-models.js";
import { printedPage } from "../fixtures/printed-page.js";
import { signPackage } from "../fixtures/sign-detector.js";
import { pythonWith } from "../fleet/python-package.js";
import { ask } from "./ask.js";
import { referenceVision } from "./reference-vision.js";

const run = promisify(execFile);
const map = "sigmoid_0.tmp_0";
const [mean, std] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
];
const float32 = (name: string, ...shape: (string | number)[]): Tensors["outputs"][number] => {
  return { name, dtype: "float32", shape };
};

/** PaddleOCR's map of where text is, read as a segmentation into paper and text; with two more outputs that say the same. */
function textMap(postprocess: object): SpecOf<"segmentation"> {
  return {
    task: "segmentation",
    tensors: {
      inputs: [float32("x", "n", 3, "h", "w")],
      outputs: [
        float32(map, "n", 1, "h", "w"),
        float32("both", "n", 2, "h", "w"),
        { ...float32("number", "n", "h", "w"), dtype: "int64" },
      ],
    },
    preprocess: ImagePreprocess.parse({
      resize: { width: 640, height: 640, mode: "contain", kernel: "linear" },
      ...{ colour: "bgr", mean, std },
    }),
    postprocess: SegmentationPostprocess.parse({ labels: ["paper", "text"], ...postprocess }),
  };
}

/** The model with the same map as a score per class, and as the number of the class; the border lies at 0.3. */
async function textMapFile(folder: string): Promise<string> {
  const file = join(folder, "map.onnx");
  const more = extendModel(await readFile(textDetectorFile), {
    constants: {
      border: { shape: [1], data: Float32Array.of(0.6) },
    },
    nodes: [
      ["Sub", ["border", map], "paper"],
      ["Concat", ["paper", map], "both", { axis: 1 }],
      ["ArgMax", ["both"], "number", { axis: 1, keepdims: 0 }],
    ],
    outputs: { both: ["n", 2, "h", "w"], number: ["n", "h", "w"] },
    whole: ["number"],
  });
  await writeFile(file, more);
  return file;
}

/** What is printed where: text begins at `x` on the line `y`. */
const lines = [
  { text: "LOT 4821-C", x: 100, y: 150, size: 60 },
  { text: "EXP 2027-03-14", x: 300, y: 420, size: 72 },
];

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-segmentation-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function pixelsOf({ mask }: MaskAnswer): Uint8Array {
  const pixels = new Uint8Array(mask.width * mask.height);
  let at = 0;
  for (let run = 0; run < mask.runs.length; run += 2) {
    const [klass = 0, length = 0] = mask.runs.slice(run, run + 2);
    pixels.fill(klass, at, at + length);
    at += length;
  }
  assert.equal(at, pixels.length);
  return pixels;
}

test("a real map is the same mask by every format, and lies over what was printed", async (t) => {
  const file = await textMapFile(await folderOf(t));
  const picture = await printedPage(1000, 600, lines);
  const formats = [
    { format: "threshold", threshold: 0.3, output: map },
    { format: "best-class", output: "both" },
    { format: "classes", output: "number" },
  ];
  const answers: MaskAnswer[] = [];
  for (const format of formats) {
    const [reading] = await ask(file, textMap(format), [picture]);
    answers.push(reading?.answer as MaskAnswer);
  }
  const [first, ...others] = answers;
  assert.ok(first !== undefined);
  for (const other of others) assert.deepEqual(other, first);

  assert.deepEqual([first.mask.width, first.mask.height], [640, 384], "the mask is the picture without its padding");
  const pixels = pixelsOf(first);
  const share = pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length;
  assert.ok(Math.abs((first.shares.text ?? 0) - share) < 1e-9);
  const isText = (x: number, y: number) => pixels[Math.round(y * 0.64) * 640 + Math.round(x * 0.64)] === 1;
  for (const { text, x, y, size } of lines) {
    // DejaVu's letters are about 0.6 em wide and 0.73 em high.
    const width = text.length * size * 0.6;
    for (const along of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      assert.ok(isText(x + width * along, y - size * 0.36), `${text} ${along}`);
      assert.ok(!isText(x + width * along, y - size * 1.5), `above ${text} ${along}`);
    }
  }
});

test("a mask is the one that OpenCV and ONNX Runtime for Python make", async (t) => {
  const installed = await pythonWith(signPackage);
  if ("unreachable" in installed) return t.skip(installed.unreachable);
  const folder = await folderOf(t);
  const pictures = [
    await printedPage(1000, 600, lines),
    await printedPage(500, 800, [{ text: "SN 00412", x: 60, y: 300, size: 70 }]),
  ];
  const paths = pictures.map((_, at) => join(folder, `${at}.png`));
  for (const [at, path] of paths.entries()) await writeFile(path, pictures[at] ?? "");
  const args = ["map", textDetectorFile, JSON.stringify(mean), JSON.stringify(std), ...paths];
  const { stdout } = await run(installed.python, ["-c", referenceVision, ...args], { maxBuffer: 10_000_000 });
  const reference = JSON.parse(stdout) as { width: number; height: number; pixels: string }[];
  const spec = textMap({ format: "threshold", threshold: 0.3, output: map });
  const readings = await ask(await textMapFile(folder), spec, pictures);
  for (const [at, wanted] of reference.entries()) {
    const answer = readings[at]?.answer as MaskAnswer;
    assert.deepEqual([answer.mask.width, answer.mask.height], [wanted.width, wanted.height]);
    const own = pixelsOf(answer);
    let both = 0;
    let either = 0;
    for (const [i, pixel] of own.entries()) {
      const other = wanted.pixels[i] === "1" ? 1 : 0;
      both += pixel & other;
      either += pixel | other;
    }
    assert.ok(either > 2000 && both / either > 0.98, `${both} of ${either} pixels`);
  }
});
