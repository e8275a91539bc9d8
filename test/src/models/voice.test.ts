import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compareTensors,
  type EventsAnswer,
  type NamedTensor,
  OnnxSession,
  pipelineOf,
  runInputs,
  type SpecOf,
} from "@muster/shared/inference";
import { wavFile } from "@muster/shared/testing";
import { olderVoiceModel, olderVoiceModelFile, room, voiceModel, voiceModelFile } from "../fixtures/voice-model.js";

const talk = [
  { fromS: 1, toS: 2.5 },
  { fromS: 4, toS: 5 },
];

/** What a model hears in a recording; every model is one that the pipeline declares. */
async function heard(file: string, spec: SpecOf<"audio-events">, wav: Buffer) {
  const session = await OnnxSession.load(file, { provider: "cpu", threads: 1 });
  assert.deepEqual(compareTensors(spec.tensors, session.tensors()), []);
  const pipeline = pipelineOf(spec);
  const { inputs } = await pipeline.decode(wav);
  const { readings } = await runInputs(session, pipeline, spec.tensors, inputs);
  await session.close();
  const [reading] = readings;
  assert.ok(reading !== undefined);
  return { ...reading, events: (reading.answer as EventsAnswer).events };
}

for (const [name, file, spec, exactMs] of [
  ["version 5", voiceModelFile, voiceModel, 130],
  ["version 4, of larger frames and two states,", olderVoiceModelFile, olderVoiceModel, 250],
] as const) {
  test(`Silero's voice detector ${name} says when somebody speaks`, async () => {
    const wav = wavFile([room(6, 16_000, talk)], { rate: 16_000, bits: 16 });
    const { events, label, features, fault } = await heard(file, spec, wav);
    assert.equal(events.length, 2, JSON.stringify(events));
    for (const [at, { fromS, toS }] of talk.entries()) {
      const { startMs = 0, endMs = 0, confidence = 0 } = events[at] ?? {};
      assert.ok(Math.abs(startMs - fromS * 1000) <= exactMs, `${startMs}`);
      assert.ok(Math.abs(endMs - toS * 1000) <= exactMs, `${endMs}`);
      assert.ok(confidence > 0.8, `${confidence}`);
    }
    assert.equal(label, "speech");
    assert.ok(Number(features().level) < -15 && Number(features().active) > 0.3);
    const limits = { tolerance: 0.1, toleranceMs: exactMs };
    const expected = talk.map(({ fromS, toS }) => ({ label: "speech", startMs: fromS * 1000, endMs: toS * 1000 }));
    assert.equal(fault({ events: expected }, limits), undefined);
    assert.match(fault({ events: [] }, limits) ?? "", /expected none/);
  });
}

test("the same is heard in stereo at the rate of a CD", async () => {
  const samples = room(6, 44_100, talk);
  const wav = wavFile([samples, samples], { rate: 44_100, bits: 24, extensible: true });
  const { events } = await heard(voiceModelFile, voiceModel, wav);
  assert.deepEqual(
    events.map(({ startMs, endMs }) => [Math.round(startMs / 500) * 500, Math.round(endMs / 500) * 500]),
    [
      [1000, 2500],
      [4000, 5000],
    ],
  );
});

test("a quiet room is no speech", async () => {
  const quiet = wavFile([room(3, 16_000, [])], { rate: 16_000, bits: 16 });
  const nothing = await heard(voiceModelFile, voiceModel, quiet);
  assert.deepEqual([nothing.events, nothing.label], [[], "none"]);
});

test("scores are those of a plain loop that hands the state on itself", async () => {
  const samples = room(2, 16_000, [{ fromS: 0.5, toS: 1.5 }]);
  const { features } = await heard(
    voiceModelFile,
    voiceModel,
    wavFile([samples], { rate: 16_000, bits: 32, float: true }),
  );
  const session = await OnnxSession.load(voiceModelFile, { provider: "cpu", threads: 1 });
  const sr: NamedTensor = { name: "sr", dtype: "int64", shape: [], data: BigInt64Array.of(16_000n) };
  const scores: number[] = [];
  let state = new Float32Array(256);
  const padded = new Float32Array(64 + Math.ceil(samples.length / 512) * 512);
  padded.set(samples, 64);
  for (let at = 0; at + 576 <= padded.length; at += 512) {
    const input: NamedTensor = { name: "input", dtype: "float32", shape: [1, 576], data: padded.slice(at, at + 576) };
    const memory: NamedTensor = { name: "state", dtype: "float32", shape: [2, 1, 128], data: state };
    const [output, next] = await session.run([input, memory, sr]);
    scores.push(Number(output?.data[0]));
    state = Float32Array.from(next?.data as Float32Array);
  }
  await session.close();
  const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
  assert.ok(Math.abs(Number(features().score) - mean) < 1e-6, `${features().score} ${mean}`);
});
