import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { Manifest, sha256 } from "@muster/shared";
import type { EventsAnswer } from "@muster/shared/inference";
import { wavFile } from "@muster/shared/testing";
import { room, voiceModel, voiceModelFile } from "../fixtures/voice-model.js";
import { eventually } from "../fleet/fleet.js";
import { serveModel } from "../fleet/served-model.js";

const rate = 16_000;
const talk = [
  [
    { fromS: 0.5, toS: 1.5 },
    { fromS: 2.5, toS: 4 },
  ],
  [{ fromS: 1, toS: 3 }],
] as const;
const type = `audio/pcm; rate=${rate}; format=s16le`;

interface Answer extends EventsAnswer {
  readonly model_version: string;
  readonly active: readonly string[];
  readonly code?: string;
  readonly error?: string;
}

/** The real model in a runner of its own. */
async function served(t: TestContext, config: Parameters<typeof serveModel>[3] = {}) {
  const bytes = await readFile(voiceModelFile);
  const blob = { sha256: sha256(bytes), sizeBytes: bytes.length };
  const manifest = Manifest.parse({
    ...{ model: "voice", version: "1.0.0", release: 1, createdMs: 0, ...voiceModel },
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    selfTest: { samples: [{ input: blob, events: [] }] },
    ...{ budgets: {}, baseline: {}, metadata: {} },
  });
  const { url, close } = await serveModel(manifest, voiceModelFile, 2, config);
  t.after(() => close());
  const ask = async (headers: Record<string, string>, body: Uint8Array) => {
    const response = await fetch(`${url}/v2/models/voice/infer`, { method: "POST", headers, body });
    return { status: response.status, answer: (await response.json()) as Answer };
  };
  const piece = (stream: string, body: Uint8Array, contentType = type) =>
    ask({ "muster-stream": stream, "content-type": contentType }, body);
  return { ask, piece };
}

/** Samples as they are sent, 16 bits each. */
function pcm(samples: Float32Array): Uint8Array {
  return new Uint8Array(Int16Array.from(samples, (sample) => Math.round(sample * 32_767)).buffer);
}

test("streams that are sent piece by piece, several at a time, are heard as their recordings are", async (t) => {
  const { ask, piece } = await served(t);
  const recordings = talk.map((spans) => pcm(room(4.5, rate, spans)));
  const wholes = await Promise.all(
    talk.map(async (spans) => {
      const { answer } = await ask(
        { "content-type": "audio/wav" },
        wavFile([room(4.5, rate, spans)], { rate, bits: 16 }),
      );
      return answer.events;
    }),
  );
  assert.deepEqual(
    wholes.map(({ length }) => length),
    [2, 1],
  );
  const heard: EventsAnswer["events"][number][][] = [[], []];
  const active = new Set<string>();
  // 0.3 s a piece, both streams in turn, and both ended by an empty piece.
  const size = 0.3 * rate * 2;
  for (let from = 0; from < (recordings[0]?.length ?? 0) + size; from += size) {
    const answers = await Promise.all(
      recordings.map((bytes, at) => piece(`mic-${at}`, bytes.subarray(from, from + size))),
    );
    for (const [at, { status, answer }] of answers.entries()) {
      assert.equal(status, 200, JSON.stringify(answer));
      assert.equal(answer.model_version, "1.0.0");
      heard[at]?.push(...answer.events);
      for (const label of answer.active) active.add(`${label} ${at}`);
    }
  }
  for (const [at, events] of heard.entries()) {
    const spans = (list: EventsAnswer["events"]) => list.map(({ label, startMs, endMs }) => [label, startMs, endMs]);
    assert.deepEqual(spans(events), spans(wholes[at] ?? []));
  }
  assert.deepEqual([...active].sort(), ["speech 0", "speech 1"]);
});

test("no more streams are open than may be, and one that is ended or left alone makes room", async (t) => {
  const { piece } = await served(t, { maxStreams: 2, streamIdleMs: 3000 });
  const silence = new Uint8Array(3200);
  const statuses = async (...names: string[]) => {
    const answers = [];
    for (const name of names) answers.push((await piece(name, silence)).status);
    return answers;
  };
  assert.deepEqual(await statuses("a", "b"), [200, 200]);
  const refused = await piece("c", silence);
  assert.deepEqual([refused.status, refused.answer.code], [429, "runner/overloaded"]);
  assert.match(refused.answer.error ?? "", /2 streams are open already/);
  assert.equal((await piece("a", new Uint8Array(0))).status, 200);
  assert.deepEqual(await statuses("c"), [200]);
  await eventually("one that nobody sends to is closed", async () =>
    (await piece("d", silence)).status === 200 ? true : undefined,
  );
});

test("what does not fit a stream is refused with how it has to be, and the stream goes on", async (t) => {
  const { piece, ask } = await served(t);
  const bytes = new Uint8Array(3200);
  const refusals: [number, RegExp, Promise<Awaited<ReturnType<typeof piece>>>][] = [
    [
      415,
      /audio\/pcm; rate=16000; channels=1; format=s16le or f32le.*-ar 16000 -ac 1/,
      piece("a", bytes, "audio/pcm; rate=8000"),
    ],
    [415, /format=s16le or f32le/, piece("a", bytes, "audio/pcm; rate=16000; format=u8")],
    [415, /channels=1/, piece("a", bytes, "audio/pcm; channels=2")],
    [415, /not audio\/wav/, piece("a", bytes, "audio/wav")],
    [400, /3201 bytes, but a sample has 2/, piece("a", new Uint8Array(3201))],
    [400, /muster-stream must be a name/, piece("a b", bytes)],
  ];
  for (const [status, says, asked] of refusals) {
    const { status: got, answer } = await asked;
    assert.equal(got, status, JSON.stringify(answer));
    assert.match(answer.error ?? "", says);
  }
  const floats = new Uint8Array(new Float32Array(1600).buffer);
  assert.equal((await piece("a", floats, "audio/pcm; rate=16000; format=f32le")).status, 200);
  assert.equal((await piece("never-begun", new Uint8Array(0))).status, 200);
  assert.equal((await ask({ "content-type": "audio/pcm" }, bytes)).status, 415, "a piece needs its stream");
});
