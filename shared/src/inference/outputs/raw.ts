import { MusterError } from "../../errors.js";
import type { RawExpectation, RawPostprocess } from "../../model/postprocess/raw.js";
import type { Tensors } from "../../model/tensors.js";
import { floatsOf, type NamedTensor } from "../named-tensor.js";
import type { OutputSide } from "../pipeline.js";

/** An answer is text; a larger output is for the binary way. */
const maxNumbers = 1_000_000;

/** The outputs of the last run as they are. */
export function rawOutput({ outputs: asked }: RawPostprocess, tensors: Tensors): OutputSide<RawExpectation> {
  const names = asked ?? tensors.outputs.map(({ name }) => name);
  return {
    featureKinds: {},
    read(runs) {
      const last = runs.at(-1) ?? [];
      const outputs = names.map((name) => {
        const data = Array.from(floatsOf(last, name));
        const shape = last.find((one) => one.name === name)?.shape ?? [];
        return { name, shape, data };
      });
      const count = outputs.reduce((sum, { data }) => sum + data.length, 0);
      if (count > maxNumbers) {
        const message = `the outputs have ${count} numbers, at most ${maxNumbers} make an answer; ask for tensors, or name fewer in postprocess.outputs`;
        throw new MusterError("tensor/invalid", message);
      }
      return {
        answer: { outputs },
        features: {},
        fault: (expected, { tolerance }) => rawFault(last, expected, tolerance),
      };
    },
  };
}

function rawFault(outputs: readonly NamedTensor[], expected: RawExpectation, tolerance: number): string | undefined {
  for (const [name, wanted] of Object.entries(expected.outputs)) {
    const data = floatsOf(outputs, name);
    if (data.length !== wanted.length) return `'${name}' has ${data.length} numbers, expected ${wanted.length}`;
    const far = wanted.findIndex((value, at) => !(Math.abs(value - (data[at] ?? Number.NaN)) <= tolerance));
    if (far !== -1) return `number ${far} of '${name}' is ${data[far]}, expected ${wanted[far]} ± ${tolerance}`;
  }
  return undefined;
}
