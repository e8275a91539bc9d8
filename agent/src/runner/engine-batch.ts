import { MusterError } from "@muster/shared";
import { type NamedTensor, ownTensor, rowsOf, stackTensors } from "@muster/shared/inference";
import type { Engine } from "./engine.js";
import { type EngineJob, type EngineResult, rowsOfJob } from "./engine-protocol.js";

type InputsJob = Extract<EngineJob, { kind: "inputs" }>;
type TensorsJob = Extract<EngineJob, { kind: "tensors" }>;

/**
 * Runs jobs of one batch key together and gives each its own rows and outputs. The times are those of the whole: all waited
 * for it. Throws what the engine throws, for the whole batch.
 */
export async function runBatch(engine: Engine, jobs: readonly EngineJob[]): Promise<EngineResult[]> {
  const [first] = jobs;
  if (first === undefined) return [];
  if (jobs.length === 1) return [await runOne(engine, first)];
  return first.kind === "inputs"
    ? runInputJobs(engine, jobs as readonly InputsJob[])
    : runTensorJobs(engine, jobs as readonly TensorsJob[]);
}

function runOne(engine: Engine, job: EngineJob): Promise<EngineResult> {
  switch (job.kind) {
    case "inputs":
      return engine.inputs(job.inputs);
    case "body":
      return engine.body(job.bytes, job.contentType);
    case "tensors":
      return engine.tensors(job.inputs, job.outputs);
    case "frames":
      return engine.frames(job.samples, job.states);
  }
}

async function runInputJobs(engine: Engine, jobs: readonly InputsJob[]): Promise<EngineResult[]> {
  const { rows, answers, times } = await engine.inputs(jobs.flatMap(({ inputs }) => inputs));
  return spansOf(jobs).map(([from, to]) => ({ rows: rows.slice(from, to), answers: answers.slice(from, to), times }));
}

async function runTensorJobs(engine: Engine, jobs: readonly TensorsJob[]): Promise<EngineResult[]> {
  const columns = jobs[0]?.inputs.map((_, at) => stackTensors(jobs.map((job) => columnOf(job, at)))) ?? [];
  const { rows, outputs, times } = await engine.tensors(columns);
  return spansOf(jobs).map(([from, to], at) => {
    const asked = jobs[at]?.outputs;
    const wanted = asked === undefined ? outputs : outputs.filter(({ name }) => asked.includes(name));
    return { rows: rows.slice(from, to), outputs: wanted.map((output) => ownTensor(rowsOf(output, from, to))), times };
  });
}

function columnOf({ inputs }: TensorsJob, at: number): NamedTensor {
  const tensor = inputs[at];
  if (tensor === undefined) throw new MusterError("internal", "jobs of one batch have different tensors");
  return tensor;
}

/** Where the rows of each job lie in the whole batch. */
function spansOf(jobs: readonly EngineJob[]): [number, number][] {
  const ends: number[] = [];
  for (const job of jobs) ends.push((ends.at(-1) ?? 0) + rowsOfJob(job));
  return ends.map((end, at) => [ends[at - 1] ?? 0, end]);
}
