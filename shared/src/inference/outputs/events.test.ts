import assert from "node:assert/strict";
import { test } from "node:test";
import { EventsPostprocess } from "../../model/postprocess/events.js";
import { AudioPreprocess } from "../../model/preprocess/audio.js";
import type { EventsAnswer } from "../answer.js";
import { eventsOf, eventsOutput } from "./events.js";

const spec = (more: object = {}) => EventsPostprocess.parse({ labels: ["speech"], gapMs: 0, ...more });
const times = (scores: number[], more: object = {}) =>
  eventsOf("speech", scores, 100, spec(more)).map(({ startMs, endMs, confidence }) => [startMs, endMs, confidence]);

test("an event begins at the threshold and ends below the lower one", () => {
  assert.deepEqual(times([0.1, 0.4, 0.6, 0.4, 0.9, 0.3, 0.4]), [[200, 500, 0.9]]);
  assert.deepEqual(times([0.9, 0.8]), [[0, 200, 0.9]], "what goes on at the end ends with the recording");
  assert.deepEqual(times([0.4, 0.4]), []);
});

test("short pauses are bridged before short events are left out", () => {
  const scores = [0.6, 0, 0.8, 0, 0, 0.7, 0];
  assert.deepEqual(times(scores), [
    [0, 100, 0.6],
    [200, 300, 0.8],
    [500, 600, 0.7],
  ]);
  assert.deepEqual(times(scores, { gapMs: 150, minMs: 200 }), [[0, 300, 0.8]]);
});

test("labels are told apart, and a self-test holds the times against what was found", () => {
  const audio = AudioPreprocess.parse({ decode: "audio", rate: 1000, frame: { samples: 200, hop: 100 } });
  const tensors = { inputs: [], outputs: [{ name: "y", dtype: "float32" as const, shape: ["n", 2] }] };
  const side = eventsOutput(spec({ labels: ["cough", "door"] }), tensors, audio);
  const frames = [
    [0, 0.9],
    [0.8, 0],
    [0.8, 0],
  ].map((scores) => [{ name: "y", dtype: "float32" as const, shape: [1, 2], data: Float32Array.from(scores) }]);
  const { answer, label, features, fault } = side.read(frames, { kind: "tensors", tensors: [] });
  assert.deepEqual(
    (answer as EventsAnswer).events.map((event) => [event.label, event.startMs, event.endMs]),
    [
      ["door", 0, 100],
      ["cough", 100, 300],
    ],
  );
  assert.deepEqual([label, features.events, features.active], ["cough", 2, 0.5]);
  const limits = { tolerance: 0.1, toleranceMs: 50 };
  const expected = [
    { label: "cough", startMs: 140, endMs: 260 },
    { label: "door", startMs: 0, endMs: 100 },
  ];
  assert.equal(fault({ events: expected }, limits), undefined);
  assert.match(
    fault({ events: expected.slice(1) }, limits) ?? "",
    /expected door 0–100 ms within 50 ms, found door 0–100 ms, cough 100–300 ms/,
  );
  assert.match(fault({ events: [] }, { ...limits, toleranceMs: 10 }) ?? "", /expected none/);
});
