import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import type { ObjectsAnswer } from "@muster/shared/inference";
import { signDetector, signModel, signPackage, withOtherHeads } from "../fixtures/sign-detector.js";
import { signScene, signSize } from "../fixtures/sign-scene.js";
import { pythonWith } from "../fleet/python-package.js";
import { ask } from "./ask.js";
import { referenceVision } from "./reference-vision.js";

const run = promisify(execFile);

/** The same network, read by each of its heads. */
const heads: readonly [name: string, postprocess: object][] = [
  ["YOLOX grids", { format: "yolox", output: "output" }],
  ["YOLO v5", { format: "yolo-v5", output: "v5" }],
  ["YOLO v8", { format: "yolo-v8", output: "v8" }],
  ["YOLO v8 with anchors first", { format: "yolo-v8", output: "v8rows" }],
  ["SSD", { format: "ssd", ssd: { boxes: "corners", scores: "scores" } }],
  [
    "a transformer",
    { format: "ssd", ssd: { boxes: "centres", scores: "logits", order: "centre-size", activation: "sigmoid" } },
  ],
  ["end to end", { format: "end-to-end", output: "kept" }],
];

type Found = readonly [left: number, top: number, right: number, bottom: number, score: number];

test("a real detector finds in pictures what its authors' own code finds, by every kind of head", async (t) => {
  const installed = await pythonWith(signPackage);
  if ("unreachable" in installed) return t.skip(installed.unreachable);
  const folder = await mkdtemp(join(tmpdir(), "muster-detection-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "signs.onnx");
  await writeFile(file, withOtherHeads(await signModel(installed.python)));
  // Wide, high, and as large as the tensor.
  const scenes = [await signScene(640, 400, 6, 1), await signScene(300, 500, 5, 2), await signScene(416, 416, 6, 3)];
  const pictures = scenes.map(({ picture }) => picture);
  const paths = pictures.map((_, at) => join(folder, `${at}.png`));
  for (const [at, path] of paths.entries()) await writeFile(path, pictures[at] ?? "");
  const { stdout } = await run(installed.python, ["-c", referenceVision, "boxes", ...paths]);
  const reference = JSON.parse(stdout) as Found[][];

  await t.test("the authors' code finds every character where it was printed", () => {
    for (const [at, { signs }] of scenes.entries()) {
      const found = reference[at] ?? [];
      for (const { text, x, y } of signs) {
        const near = ([left, top, right, bottom]: Found) => Math.hypot((left + right) / 2 - x, (top + bottom) / 2 - y);
        assert.ok(Math.min(...found.map(near)) < signSize / 2, `${text} at ${x}, ${y}: ${JSON.stringify(found)}`);
      }
    }
  });

  for (const [name, head] of heads) {
    await t.test(name, async () => {
      const readings = await ask(file, signDetector(head), pictures);
      for (const [at, { answer }] of readings.entries()) {
        const { objects } = answer as ObjectsAnswer;
        const wanted = reference[at] ?? [];
        // Where nothing is resized both see the very same pixels; OpenCV does not smooth when it makes a picture smaller.
        const [pixels, share] = at === 2 ? [0.01, 0.001] : [3, 0.05];
        assert.equal(objects.length, wanted.length, JSON.stringify(objects));
        for (const [left, top, right, bottom, score] of wanted) {
          const [width, height] = [right - left, bottom - top];
          const same = objects.some(({ box, confidence }) => {
            const off = [box.left - left, box.top - top, box.width - width, box.height - height];
            return Math.max(...off.map(Math.abs)) < pixels && Math.abs(confidence - score) < share;
          });
          assert.ok(same, `${left}, ${top}, ${right}, ${bottom}, ${score}: ${JSON.stringify(objects)}`);
        }
      }
    });
  }
});
