import assert from "node:assert/strict";
import { test } from "node:test";
import { wavFile } from "../../testing/wav-file.js";
import { readWav } from "./wav.js";

const wave = [0, 0.5, -0.5, 0.25, -1];

test("every format of samples is read as −1..1", () => {
  for (const bits of [8, 16, 24, 32] as const) {
    for (const extensible of [false, true]) {
      const { data, rate } = readWav(wavFile([wave], { rate: 8000, bits, extensible }));
      assert.equal(rate, 8000);
      assert.deepEqual([...data], wave, `${bits} bits`);
    }
  }
  for (const bits of [32, 64] as const)
    assert.deepEqual([...readWav(wavFile([wave], { rate: 8000, bits, float: true })).data], wave);
});

test("channels are mixed to their mean", () => {
  const { data } = readWav(wavFile([wave, [1, -0.5, -0.5, 0.25, 0]], { rate: 48_000, bits: 32, float: true }));
  assert.deepEqual([...data], [0.5, 0, -0.5, 0.25, -0.5]);
});

test("a recorder that did not know the size when it began is read to the end", () => {
  const file = wavFile([wave], { rate: 8000, bits: 16 });
  file.writeUInt32LE(0xffffffff, file.length - 14);
  assert.deepEqual([...readWav(file).data], wave);
});

test("what is no recording is refused with the reason", () => {
  const file = wavFile([wave], { rate: 8000, bits: 16 });
  const refused = (bytes: Uint8Array, message: RegExp) =>
    assert.throws(() => readWav(bytes), { code: "input/invalid", message });
  refused(new Uint8Array(), /no WAV file/);
  refused(Buffer.from("RIFF1234WAVE"), /no samples in the file/);
  refused(file.subarray(0, file.length - 3), /3 bytes of the samples are missing/);
  refused(wavFile([[]], { rate: 8000, bits: 16 }), /holds no samples/);
  refused(wavFile([wave], { rate: 10, bits: 16 }), /rate is 10/);
  refused(wavFile([[Number.NaN]], { rate: 8000, bits: 32, float: true }), /not a number/);
  const odd = wavFile([wave], { rate: 8000, bits: 16 });
  odd.writeUInt16LE(12, odd.indexOf("fmt ") + 8 + 14);
  refused(odd, /format 1 with 12 bits/);
  assert.throws(() => readWav(new Uint8Array(20_000_001)), { code: "input/too-large" });
});
