import type { AnomalyExpectation, AnomalyPostprocess } from "../../model/postprocess/anomaly.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { Tensors } from "../../model/tensors.js";
import type { AnomalyAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import { floatsOf, type NamedTensor } from "../named-tensor.js";
import type { InputSide, OutputSide } from "../pipeline.js";
import { checkNumber } from "./check-number.js";

const [usual, unusual] = ["normal", "anomaly"];

/** How unusual an input is. Of several runs, the frames of a recording, the most unusual counts. */
export function anomalyOutput(
  spec: AnomalyPostprocess,
  tensors: Tensors,
  side: Pick<InputSide, "toRuns">,
): OutputSide<AnomalyExpectation> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  return {
    featureKinds: { score: "number", class: [usual, unusual] },
    read(outputs, input) {
      const scores = outputs.map((one, at) => scoreOf(floatsOf(one, name), spec, () => givenTensor(side, input, at)));
      const score = checkNumber(scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY));
      const answer = { anomaly: score >= spec.threshold, score, threshold: spec.threshold };
      const label = answer.anomaly ? unusual : usual;
      return {
        answer,
        label,
        features: { score, class: label },
        fault: (expected, { tolerance }) => anomalyFault(answer, expected, tolerance),
      };
    },
  };
}

function scoreOf(data: Float32Array, { score }: AnomalyPostprocess, given: () => Float32Array | undefined): number {
  if (data.length === 0) return Number.NaN;
  if (score === "max") return data.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (score === "mean") return data.reduce((a, b) => a + b, 0) / data.length;
  const input = given();
  if (input === undefined) return Number.NaN;
  return data.reduce((sum, value, at) => sum + (value - (input[at] ?? Number.NaN)) ** 2, 0) / data.length;
}

/** What the model was given. It is made again: to keep every input's tensors for the few models that need them costs more. */
function givenTensor(side: Pick<InputSide, "toRuns">, input: DecodedInput, run: number): Float32Array | undefined {
  const tensors: readonly NamedTensor[] | undefined =
    input.kind === "tensors" ? input.tensors : side.toRuns(input)[run];
  const tensor = tensors?.[0];
  return tensor === undefined ? undefined : floatsOf([tensor], tensor.name);
}

function anomalyFault(answer: AnomalyAnswer, expected: AnomalyExpectation, tolerance: number): string | undefined {
  const { anomaly, score, threshold } = answer;
  if (anomaly !== expected.anomaly) {
    return `expected ${expected.anomaly ? "an anomaly" : "no anomaly"}, the score is ${score} at a threshold of ${threshold}`;
  }
  if (expected.score === undefined || Math.abs(score - expected.score) <= tolerance) return undefined;
  return `score is ${score}, expected ${expected.score} ± ${tolerance}`;
}
