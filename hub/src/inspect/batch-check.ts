import { readFile } from "node:fs/promises";
import { type Bundle, hasFreeBatch, messageOf, type Problem, type Tensors } from "@muster/shared";
import { type DecodedInput, type OnnxSession, onlyInput, pipelineOf, runInputs } from "@muster/shared/inference";

/** Where a bundle calls the batch dimension free and the model file has a number there: shared runs would fail under load. */
export function fixedBatchProblems(declared: Tensors, actual: Tensors): Problem[] {
  if (!hasFreeBatch(declared)) return [];
  return (["inputs", "outputs"] as const).flatMap((side) =>
    declared[side].flatMap(({ name, shape }, at): Problem[] => {
      const size = actual[side].find((one) => one.name === name)?.shape[0];
      if (typeof size !== "number") return [];
      const message = `begins with ${shape[0]}, but the model file takes ${size} there and no other number; write ${size}, or export it with a free batch`;
      return [{ field: `tensors.${side}[${at}].shape`, message }];
    }),
  );
}

/** Whether as many inputs as the bundle wants in a run get through one, each answered as the first sample is alone. */
export async function fullBatchProblems(
  session: OnnxSession,
  bundle: Bundle,
  samples: readonly string[],
  variant: string,
): Promise<Problem[]> {
  const { batching, selfTest, tensors } = bundle;
  const [sample] = selfTest.samples;
  if (batching === undefined || batching.maxRows === 1 || sample === undefined) return [];
  const field = "batching.maxRows";
  try {
    const pipeline = pipelineOf(bundle);
    const input = onlyInput(await pipeline.decode(await readFile(samples[0] ?? "")));
    const batch = new Array<DecodedInput>(batching.maxRows).fill(input);
    const { readings } = await runInputs(session, pipeline, tensors, batch);
    const faults = readings.flatMap((reading) => reading.fault(sample.expect, selfTest) ?? []);
    const [fault] = faults;
    if (fault === undefined) return [];
    const count = `${faults.length} of ${batching.maxRows} inputs in one run`;
    return [{ field, message: `'${sample.file}' on variant ${variant}, ${count}: ${fault}` }];
  } catch (error) {
    const message = `${batching.maxRows} inputs in one run on variant ${variant}: ${messageOf(error)}`;
    return [{ field, message }];
  }
}
