import assert from "node:assert/strict";
import { test } from "node:test";
import { AnomalyPostprocess } from "../../model/postprocess/anomaly.js";
import { RawPostprocess } from "../../model/postprocess/raw.js";
import { RegressionPostprocess } from "../../model/postprocess/regression.js";
import type { Tensors } from "../../model/tensors.js";
import type { AnomalyAnswer, ValuesAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import type { NamedTensor } from "../named-tensor.js";
import { anomalyOutput } from "./anomaly.js";
import { rawOutput } from "./raw.js";
import { regressionOutput } from "./regression.js";

const tensors: Tensors = { inputs: [], outputs: [{ name: "y", dtype: "float32", shape: ["n", "k"] }] };
const output = (...numbers: number[]): NamedTensor[] => {
  return [{ name: "y", dtype: "float32", shape: [1, numbers.length], data: Float32Array.from(numbers) }];
};
const none: DecodedInput = { kind: "tensors", tensors: [] };
const limits = { tolerance: 0.01 };

test("numbers of a regression get names and units, and frames are averaged", () => {
  const values = [{ name: "litres", scale: 10, offset: 5 }, { name: "hours" }];
  const side = regressionOutput(RegressionPostprocess.parse({ values }), tensors);
  const { answer, features, fault } = side.read([output(0.5, 2), output(1, 4)], none);
  assert.deepEqual((answer as ValuesAnswer).values, { litres: 12.5, hours: 3 });
  assert.deepEqual(features, { "value.litres": 12.5, "value.hours": 3 });
  assert.equal(fault({ values: { litres: 12.505 } }, limits), undefined);
  assert.match(fault({ values: { litres: 12.5, hours: 3.1 } }, limits) ?? "", /'hours' is 3, expected 3\.1 ± 0\.01/);
  assert.throws(() => side.read([output(1)], none), {
    code: "tensor/invalid",
    message: /1 numbers, the pipeline names 2/,
  });
  assert.throws(() => side.read([output(Number.NaN, 1)], none), { code: "engine/failed", message: /not a number/ });
});

test("an anomaly score is the maximum, the mean, or the error of a reconstruction", () => {
  const given: NamedTensor = { name: "x", dtype: "float32", shape: [1, 2], data: Float32Array.of(1, 2) };
  const picture: DecodedInput = { kind: "image", data: new Uint8Array(3), width: 1, height: 1 };
  const sides = { toRuns: (input: DecodedInput) => (input === picture ? [[given], [given]] : []) };
  const scoreOf = (input: DecodedInput, how: string, ...numbers: number[]) => {
    const spec = AnomalyPostprocess.parse({ score: how, threshold: 4 });
    return anomalyOutput(spec, tensors, sides).read([output(...numbers)], input);
  };
  const score = (how: string, ...numbers: number[]) => scoreOf(picture, how, ...numbers);
  assert.deepEqual(score("max", 1, 5, 2).answer, { anomaly: true, score: 5, threshold: 4 });
  assert.deepEqual(score("mean", 1, 5, 3).answer, { anomaly: false, score: 3, threshold: 4 });
  assert.deepEqual(score("reconstruction", 4, 2).answer, { anomaly: true, score: 4.5, threshold: 4 });
  const own: DecodedInput = { kind: "tensors", tensors: [given] };
  assert.deepEqual(scoreOf(own, "reconstruction", 4, 2).answer, { anomaly: true, score: 4.5, threshold: 4 });
  const { label, features, fault } = score("max", 3.5);
  assert.deepEqual([label, features], ["normal", { score: 3.5, class: "normal" }]);
  assert.equal(fault({ anomaly: false, score: 3.505 }, limits), undefined);
  assert.match(fault({ anomaly: true }, limits) ?? "", /expected an anomaly, the score is 3\.5/);
  assert.match(fault({ anomaly: false, score: 1 }, limits) ?? "", /score is 3\.5, expected 1/);
});

test("of several frames the most unusual counts", () => {
  const side = anomalyOutput(AnomalyPostprocess.parse({ threshold: 1 }), tensors, { toRuns: () => [] });
  assert.equal((side.read([output(0.5), output(2), output(1)], none).answer as AnomalyAnswer).score, 2);
});

test("raw outputs are given as they are, as far as an answer can hold them", () => {
  const side = rawOutput(RawPostprocess.parse({}), tensors);
  const { answer, fault } = side.read([output(1, 2)], none);
  assert.deepEqual(answer, { outputs: [{ name: "y", shape: [1, 2], data: [1, 2] }] });
  assert.equal(fault({ outputs: { y: [1, 2.005] } }, limits), undefined);
  assert.match(fault({ outputs: { y: [1, 3] } }, limits) ?? "", /number 1 of 'y' is 2, expected 3/);
  assert.match(fault({ outputs: { y: [1] } }, limits) ?? "", /has 2 numbers, expected 1/);
  const large: NamedTensor[] = [{ name: "y", dtype: "float32", shape: [1_000_001], data: new Float32Array(1_000_001) }];
  assert.throws(() => side.read([large], none), { code: "tensor/invalid", message: /1000001 numbers/ });
});
