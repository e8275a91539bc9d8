import assert from "node:assert/strict";
import { test } from "node:test";
import { resample } from "./resample.js";

const tone = (frequency: number, rate: number, length: number) =>
  Float32Array.from({ length }, (_, at) => Math.sin((2 * Math.PI * frequency * at) / rate));
const level = (data: Float32Array) => Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);

test("a tone is the same tone at another rate, but for the edges", () => {
  for (const [from, to] of [
    [48_000, 16_000],
    [44_100, 16_000],
    [8000, 16_000],
    [22_050, 16_000],
  ] as const) {
    const made = resample(tone(440, from, from), from, to);
    assert.equal(made.length, to);
    const wanted = tone(440, to, to);
    const worst = made
      .subarray(200, -200)
      .reduce((most, value, at) => Math.max(most, Math.abs(value - (wanted[at + 200] ?? 0))), 0);
    assert.ok(worst < 1e-3, `${from} → ${to}: ${worst}`);
  }
});

test("what the lower rate cannot hold is taken out, not folded back", () => {
  const made = resample(tone(11_000, 48_000, 48_000), 48_000, 16_000).subarray(200, -200);
  assert.ok(20 * Math.log10(level(made) / Math.SQRT1_2) < -55, `${20 * Math.log10(level(made) / Math.SQRT1_2)} dB`);
});

test("a constant stays what it is, and the same rate copies nothing", () => {
  const constant = new Float32Array(1000).fill(0.5);
  for (const value of resample(constant, 44_100, 16_000).subarray(50, -50)) assert.ok(Math.abs(value - 0.5) < 1e-6);
  assert.equal(resample(constant, 16_000, 16_000), constant);
});
