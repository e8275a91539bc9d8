import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { AudioStream, type StreamAnswer, type StreamDeps } from "@muster/agent/testing";
import { MusterError } from "@muster/shared";
import { type EventsAnswer, OnnxSession, pipelineOf, runFrames, runInputs } from "@muster/shared/inference";
import { wavFile } from "@muster/shared/testing";
import { seededRandom } from "../fixtures/random.js";
import { room, voiceModel, voiceModelFile } from "../fixtures/voice-model.js";

const rate = 16_000;
const samples = room(8, rate, [
  { fromS: 1, toS: 2.5 },
  { fromS: 4, toS: 5 },
  { fromS: 6.5, toS: 8 },
]);

type Events = EventsAnswer["events"];

/** The real model behind a stream; `version` is what serves, and `fault` is thrown once. */
async function bench(t: TestContext, everyPiece = false) {
  const session = await OnnxSession.load(voiceModelFile, { provider: "cpu", threads: 1 });
  t.after(() => session.close());
  const slotOf = (version: string) => ({ slot: { model: "voice", version, manifest: voiceModel } });
  const now = { serving: slotOf("1.0.0"), fault: undefined as MusterError | undefined };
  const deps = {
    slots: { serving: () => now.serving },
    inference: {
      state: () => "open",
      frames: async (_to: unknown, piece: Float32Array, states: Parameters<typeof runFrames>[3]) => {
        const { fault } = now;
        now.fault = undefined;
        if (fault !== undefined) throw fault;
        return runFrames(session, voiceModel, piece, states);
      },
    },
  } as unknown as StreamDeps;
  const stream = new AudioStream(deps, "voice", everyPiece);
  const hear = async (piece: Float32Array) => {
    const bytes = new Uint8Array(piece.slice().buffer);
    return (await stream.answer("voice", bytes)).answers as readonly StreamAnswer[];
  };
  return {
    session,
    stream,
    hear,
    end: () => hear(new Float32Array(0)),
    now,
    replace: () => (now.serving = slotOf("2.0.0")),
  };
}

/** What the model hears in the recording as a whole. */
async function whole(session: OnnxSession, data: Float32Array): Promise<Events> {
  const pipeline = pipelineOf(voiceModel);
  const { inputs } = await pipeline.decode(wavFile([data], { rate, bits: 32 }));
  const { readings } = await runInputs(session, pipeline, voiceModel.tensors, inputs);
  const [reading] = readings;
  assert.ok(reading !== undefined);
  return (reading.answer as EventsAnswer).events;
}

function close(found: Events, expected: Events): void {
  const spans = (events: Events) => events.map(({ label, startMs, endMs }) => [label, startMs, endMs]);
  assert.deepEqual(spans(found), spans(expected));
  for (const [at, { confidence }] of found.entries()) {
    assert.ok(Math.abs(confidence - (expected[at]?.confidence ?? 0)) < 1e-4);
  }
}

test("a stream in pieces of any length is heard as the whole recording is", async (t) => {
  const { session, hear, end } = await bench(t);
  const expected = await whole(session, samples);
  assert.equal(expected.length, 3, JSON.stringify(expected));
  const random = seededRandom(5, 31);
  for (const longest of [100, 3000, 60_000]) {
    const events: Events[number][] = [];
    for (let from = 0; from < samples.length; ) {
      const to = Math.min(samples.length, from + 1 + Math.floor(random() * longest));
      events.push(...(await hear(samples.subarray(from, to))).flatMap((answer) => answer.events));
      from = to;
    }
    events.push(...(await end()).flatMap((answer) => answer.events));
    close(events, expected);
  }
});

test("a piece tells what goes on in it, and one in which nothing is heard says nothing unless it is asked to", async (t) => {
  const [quiet, every] = [await bench(t), await bench(t, true)];
  const second = (at: number) => samples.subarray(at * rate, (at + 1) * rate);
  assert.deepEqual(await quiet.hear(second(0)), []);
  const [speaking] = await quiet.hear(second(1));
  assert.deepEqual([speaking?.active, speaking?.events], [["speech"], []]);
  assert.ok((speaking?.scores.speech ?? 0) > 0.9);
  const [over] = await quiet.hear(second(2));
  assert.deepEqual([over?.active, over?.events.length], [[], 1]);
  assert.deepEqual(await quiet.hear(second(3)), []);
  const [silence] = await every.hear(second(0));
  assert.deepEqual([silence?.fromMs, silence?.active, silence?.events], [0, [], []]);
  // 31 frames of 32 ms are whole after a second.
  assert.equal(silence?.toMs, 992);
});

test("after a gap the time goes on, and what was open has ended where it began", async (t) => {
  const { stream, hear, end } = await bench(t);
  const before = (await hear(samples.subarray(0, 2 * rate))).flatMap((answer) => answer.events);
  assert.deepEqual(before, []);
  stream.skip(2 * rate);
  const events = (await hear(samples.subarray(4 * rate))).flatMap((answer) => answer.events);
  events.push(...(await end()).flatMap((answer) => answer.events));
  const [first, second, third] = events;
  assert.equal(events.length, 3, JSON.stringify(events));
  assert.ok(Math.abs((first?.startMs ?? 0) - 1000) < 130 && (first?.endMs ?? 0) <= 2000, JSON.stringify(first));
  assert.ok(Math.abs((second?.startMs ?? 0) - 4000) < 200 && Math.abs((second?.endMs ?? 0) - 5000) < 200);
  assert.ok(Math.abs((third?.startMs ?? 0) - 6500) < 200, JSON.stringify(third));
});

test("another version begins without the memory of the one before, and the time goes on", async (t) => {
  const { hear, end, replace, stream } = await bench(t);
  await hear(samples.subarray(0, 3 * rate));
  replace();
  const bytes = new Uint8Array(samples.slice(3 * rate, 6 * rate).buffer);
  const { version, answers } = await stream.answer("voice", bytes);
  assert.equal(version, "2.0.0");
  const events = [...(answers as readonly StreamAnswer[]), ...(await end())].flatMap((answer) => answer.events);
  const last = events.at(-1);
  assert.ok(
    Math.abs((last?.startMs ?? 0) - 4000) < 200 && Math.abs((last?.endMs ?? 0) - 5000) < 200,
    JSON.stringify(events),
  );
});

test("a piece on which the engine failed can come again, and nothing is counted twice", async (t) => {
  const { session, hear, end, now } = await bench(t);
  const events: Events[number][] = [];
  for (let from = 0; from < samples.length; from += 7000) {
    const piece = samples.subarray(from, from + 7000);
    now.fault = new MusterError("engine/failed", "lost");
    await assert.rejects(hear(piece), { code: "engine/failed" });
    events.push(...(await hear(piece)).flatMap((answer) => answer.events));
  }
  events.push(...(await end()).flatMap((answer) => answer.events));
  close(events, await whole(session, samples));
});
