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

/**
 * Whether as many inputs as the bundle wants in a run get through one, each answered as it is alone. The samples take turns,
 * and a blank input with them: rows that are all the same would hide a model whose rows change each other's answers.
 */
export async function fullBatchProblems(
  session: OnnxSession,
  bundle: Bundle,
  samples: readonly string[],
  variant: string,
): Promise<Problem[]> {
  const { batching, selfTest, tensors } = bundle;
  if (batching === undefined || batching.maxRows === 1) return [];
  const field = "batching.maxRows";
  try {
    const pipeline = pipelineOf(bundle);
    const decoded = samples.map(async (path) => onlyInput(await pipeline.decode(await readFile(path))));
    const turns: DecodedInput[] = [...(await Promise.all(decoded)), pipeline.blank()];
    const batch = Array.from({ length: batching.maxRows }, (_, at) => turns[at % turns.length] as DecodedInput);
    const { readings } = await runInputs(session, pipeline, tensors, batch);
    const faults = readings.flatMap((reading, at) => {
      const sample = selfTest.samples[at % turns.length];
      const fault = sample === undefined ? undefined : reading.fault(sample.expect, selfTest);
      return fault === undefined ? [] : [`'${sample?.file}' on variant ${variant}: ${fault}`];
    });
    const [fault] = faults;
    if (fault === undefined) return [];
    const count = `with ${batching.maxRows} inputs in one run, ${faults.length} of them answered otherwise than alone`;
    return [{ field, message: `${fault} (${count})` }];
  } catch (error) {
    const message = `${batching.maxRows} inputs in one run on variant ${variant}: ${messageOf(error)}`;
    return [{ field, message }];
  }
}
