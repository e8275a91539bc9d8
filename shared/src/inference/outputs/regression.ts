import { MusterError } from "../../errors.js";
import { outputOf } from "../../model/postprocess/output.js";
import type { RegressionPostprocess, ValuesExpectation } from "../../model/postprocess/regression.js";
import type { Tensors } from "../../model/tensors.js";
import { floatsOf } from "../named-tensor.js";
import type { OutputSide } from "../pipeline.js";
import { checkNumber } from "./check-number.js";

/** Telemetry would drown in the distributions of a thousand values. */
const maxWatched = 32;

/** Named numbers; those of several runs, the frames of a recording, are averaged. */
export function regressionOutput(spec: RegressionPostprocess, tensors: Tensors): OutputSide<ValuesExpectation> {
  const output = outputOf(tensors, spec.output)?.name ?? "";
  const featureOf = (name: string) => `value.${name}`;
  const watched = spec.values.slice(0, maxWatched).map(({ name }) => name);
  return {
    featureKinds: Object.fromEntries(watched.map((name) => [featureOf(name), "number"])),
    read(outputs) {
      const runs = outputs.map((one) => floatsOf(one, output));
      const short = runs.find(({ length }) => length !== spec.values.length);
      if (short !== undefined) {
        const message = `output has ${short.length} numbers, the pipeline names ${spec.values.length}`;
        throw new MusterError("tensor/invalid", message);
      }
      const values = Object.fromEntries(
        spec.values.map(({ name, scale, offset }, at) => {
          const mean = runs.reduce((sum, run) => sum + (run[at] as number), 0) / runs.length;
          return [name, checkNumber(mean * scale + offset)];
        }),
      );
      return {
        answer: { values },
        features: Object.fromEntries(watched.map((name) => [featureOf(name), values[name] ?? 0])),
        fault: (expected, { tolerance }) => valuesFault(values, expected.values, tolerance),
      };
    },
  };
}

function valuesFault(
  values: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  tolerance: number,
): string | undefined {
  for (const [name, wanted] of Object.entries(expected)) {
    const value = values[name] ?? Number.NaN;
    if (!(Math.abs(value - wanted) <= tolerance)) return `'${name}' is ${value}, expected ${wanted} ± ${tolerance}`;
  }
  return undefined;
}
