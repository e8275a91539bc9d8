import assert from "node:assert/strict";
import { test } from "node:test";
import { AudioPreprocess } from "../../model/preprocess/audio.js";
import type { Tensors } from "../../model/tensors.js";
import { wavFile } from "../../testing/wav-file.js";
import { audioFeatures } from "./audio-features.js";
import { audioInput, framesOf } from "./audio-input.js";

const ramp = Float32Array.from({ length: 10 }, (_, at) => at + 1);

test("frames follow each other by the hop, with what was before and silence at both ends", () => {
  const frames = (frame: object) =>
    framesOf(ramp, AudioPreprocess.parse({ decode: "audio", rate: 8000, frame }).frame).map((one) => [...one]);
  assert.deepEqual(frames({ samples: 4 }), [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10, 0, 0],
  ]);
  assert.deepEqual(frames({ samples: 4, hop: 3, context: 2 }), [
    [0, 0, 1, 2, 3, 4],
    [2, 3, 4, 5, 6, 7],
    [5, 6, 7, 8, 9, 10],
  ]);
  assert.deepEqual(frames({ samples: 12 }), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]]);
  assert.deepEqual(framesOf(ramp, undefined).length, 1);
});

test("each run has the samples in the shape of the model, and the constants", async () => {
  const tensors: Tensors = {
    inputs: [
      { name: "sr", dtype: "int64", shape: [] },
      { name: "x", dtype: "float32", shape: ["n", 1, 4] },
    ],
    outputs: [{ name: "y", dtype: "float32", shape: ["n", 1] }],
  };
  const spec = AudioPreprocess.parse({
    ...{ decode: "audio", rate: 8000, scale: 32_768, input: "x", frame: { samples: 4 } },
    constants: [{ input: "sr", value: 8000 }],
  });
  const side = audioInput(spec, tensors);
  const { inputs, list } = await side.decode(wavFile([[0.5, 0, 0, 0, 0.25]], { rate: 8000, bits: 16 }));
  assert.equal(list, false);
  const runs = side.toRuns(inputs[0] ?? side.blank());
  assert.deepEqual(
    runs.map(([x]) => [x?.shape, Array.from(x?.data as Float32Array)]),
    [
      [
        [1, 1, 4],
        [16_384, 0, 0, 0],
      ],
      [
        [1, 1, 4],
        [8192, 0, 0, 0],
      ],
    ],
  );
  assert.deepEqual([runs[1]?.[1]?.name, runs[1]?.[1]?.shape, runs[1]?.[1]?.data], ["sr", [], BigInt64Array.of(8000n)]);
});

test("a recording that would take too many runs is refused", async () => {
  const spec = AudioPreprocess.parse({ decode: "audio", rate: 8000, frame: { samples: 1 } });
  const side = audioInput(spec, { inputs: [{ name: "x", dtype: "float32", shape: ["n", 1] }], outputs: [] });
  const file = wavFile([new Float32Array(20_001)], { rate: 8000, bits: 8 });
  await assert.rejects(side.decode(file), { code: "input/too-large", message: /20001 frames/ });
});

test("level, crossings and centroid are those of a tone", () => {
  const tone = Float32Array.from({ length: 16_000 }, (_, at) => 0.5 * Math.sin((2 * Math.PI * 1000 * at) / 16_000));
  const { level, crossings, centroid } = audioFeatures(tone, 16_000);
  // The root mean square of a sine of amplitude 0.5 is 0.3536.
  assert.ok(Math.abs(level - 20 * Math.log10(0.5 / Math.SQRT2)) < 0.01, `${level}`);
  assert.ok(Math.abs(crossings - 0.125) < 0.001, `${crossings}`);
  assert.ok(Math.abs(centroid - 1000) < 5, `${centroid}`);
  assert.deepEqual(audioFeatures(new Float32Array(100), 16_000), { level: -100, crossings: 0, centroid: 0 });
});
