import assert from "node:assert/strict";
import {
  compareTensors,
  OnnxSession,
  type PipelineSpec,
  pipelineOf,
  type Reading,
  runInputs,
} from "@muster/shared/inference";

/** What a model file says to pictures by the pipeline, which has to fit the file. */
export async function ask(file: string, spec: PipelineSpec, pictures: readonly Buffer[]): Promise<Reading[]> {
  const session = await OnnxSession.load(file, { provider: "cpu", threads: 1 });
  assert.deepEqual(compareTensors(spec.tensors, session.tensors()), []);
  const pipeline = pipelineOf(spec);
  const bodies = await Promise.all(pictures.map((bytes) => pipeline.decode(bytes)));
  const inputs = bodies.flatMap((body) => body.inputs);
  const { readings } = await runInputs(session, pipeline, spec.tensors, inputs);
  await session.close();
  return readings;
}
