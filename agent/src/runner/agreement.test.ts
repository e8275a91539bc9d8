import assert from "node:assert/strict";
import { test } from "node:test";
import { agree } from "./agreement.js";

const box = (left: number) => ({ left, top: 0, width: 10, height: 10 });
const cup = (left: number, label = "cup") => ({ label, confidence: 0.9, box: box(left) });
const classified = (label: string, confidence = 0.9) => ({ label, confidence, classes: [] });

test("classifiers agree on the class, however sure they are", () => {
  assert.ok(agree(classified("cup", 0.9), classified("cup", 0.6)));
  assert.ok(!agree(classified("cup"), classified("lid")));
});

test("detectors agree on what is where, in any order", () => {
  assert.ok(agree({ objects: [cup(0), cup(50)] }, { objects: [cup(52), cup(1)] }));
  assert.ok(!agree({ objects: [cup(0)] }, { objects: [cup(8)] }), "another place");
  assert.ok(!agree({ objects: [cup(0)] }, { objects: [cup(0, "lid")] }), "another kind");
  assert.ok(!agree({ objects: [cup(0)] }, { objects: [] }), "nothing");
  assert.ok(!agree({ objects: [cup(0), cup(1)] }, { objects: [cup(0), cup(50)] }), "one box is no match for two");
});

test("texts and verdicts are the same or not, numbers may differ a little", () => {
  assert.ok(!agree({ text: "LOT 1", confidence: 1 }, { text: "LOT 7", confidence: 1 }));
  const anomaly = (yes: boolean, score: number) => ({ anomaly: yes, score, threshold: 0.5 });
  assert.ok(agree(anomaly(false, 0.1), anomaly(false, 0.4)));
  assert.ok(!agree(anomaly(false, 0.49), anomaly(true, 0.51)));
  assert.ok(agree({ values: { speed: 100 } }, { values: { speed: 104 } }));
  assert.ok(!agree({ values: { speed: 100 } }, { values: { speed: 110 } }));
  assert.ok(!agree({ values: { speed: 100 } }, { values: {} }));
});

test("answers of different tasks never agree", () => {
  assert.ok(!agree(classified("cup"), { text: "cup", confidence: 1 }));
});
