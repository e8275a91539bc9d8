import assert from "node:assert/strict";
import { test } from "node:test";
import type { NamedTensor } from "@muster/shared/inference";
import { EnginePool } from "./engine-pool.js";
import { batchKeyOf, type EngineJob, type EngineOutcome, rowsOfJob } from "./engine-protocol.js";
import { makeManifest, memoryLog, modelFile, picture } from "./testing.js";

const rowLength = 3 * 48 * 192;

function tensorJob(rows: number, seed: number, change: (data: Float32Array) => void = () => undefined): EngineJob {
  const data = Float32Array.from({ length: rows * rowLength }, (_, at) => Math.sin(seed + at * (seed + 1)));
  change(data);
  return { kind: "tensors", inputs: [{ name: "x", dtype: "float32", shape: [rows, 3, 48, 192], data }] };
}

function outputOf(outcome: EngineOutcome | undefined): NamedTensor | undefined {
  return outcome !== undefined && "result" in outcome ? outcome.result.outputs?.[0] : undefined;
}

test("jobs that share a run get their own rows, and a bad one among them fails alone", async (t) => {
  const manifest = await makeManifest([await picture()]);
  const spec = { modelPath: modelFile, provider: "cpu", threads: 1, manifest };
  const pool = await EnginePool.open({ spec, size: 1, log: memoryLog() });
  t.after(() => pool.close());
  const shapes = [1, 3, 2];
  const alone: (NamedTensor | undefined)[] = [];
  for (const [at, rows] of shapes.entries()) alone.push(outputOf((await pool.run([tensorJob(rows, at)]))[0]));
  const jobs = shapes.map((rows, at) => tensorJob(rows, at));
  assert.deepEqual([new Set(jobs.map(batchKeyOf)).size, jobs.map(rowsOfJob)], [1, shapes]);
  const together = await pool.run(jobs);
  for (const [at, rows] of shapes.entries()) {
    const output = outputOf(together[at]);
    assert.deepEqual(output?.shape, [rows, 2]);
    for (const [i, score] of Array.from(output?.data as Float32Array).entries()) {
      assert.ok(Math.abs(score - Number(alone[at]?.data[i])) < 1e-4, `row ${i} of job ${at}`);
    }
  }
  const spoil = (data: Float32Array) => void data.fill(Number.NaN, 5, 6);
  const [good, bad, other] = await pool.run([tensorJob(1, 0), tensorJob(1, 1, spoil), tensorJob(1, 2)]);
  assert.deepEqual(
    [outputOf(good)?.shape, outputOf(other)?.shape],
    [
      [1, 2],
      [1, 2],
    ],
  );
  assert.ok(bad !== undefined && "error" in bad);
  assert.equal(bad.error.code, "input/invalid");
  assert.match(bad.error.message, /input 'x' holds NaN at 5/);
});
