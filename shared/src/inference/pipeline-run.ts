import { hasFreeBatch, type Tensors } from "../model/tensors.js";
import type { DecodedInput } from "./decoded-input.js";
import { type NamedTensor, newTensorData, rowsOf, sizeOf, stackTensors } from "./named-tensor.js";
import type { Pipeline, Reading } from "./pipeline.js";
import { KeptMemory } from "./tensor-memory.js";

export { hasFreeBatch };

/** What runs tensors: a loaded session. */
export interface TensorRunner {
  /** Runs the model once. Throws `engine/failed`. */
  run(inputs: readonly NamedTensor[], outputs?: readonly string[]): Promise<NamedTensor[]>;
}

/** How long the stages of a job took, milliseconds. */
export interface StageTimes {
  readonly preMs: number;
  readonly runMs: number;
  readonly postMs: number;
}

/** Outputs of every run of one input. */
type RunOutputs = NamedTensor[][];

/**
 * Answers a batch of inputs: stacked into one run where the batch dimension is free and all have the same shapes, else one
 * by one. Throws `engine/failed`, `tensor/invalid`; then for the whole batch. `memory` is for one batch after the other.
 */
export async function runInputs(
  session: TensorRunner,
  pipeline: Pipeline,
  tensors: Tensors,
  inputs: readonly DecodedInput[],
  memory: KeptMemory = new KeptMemory(),
): Promise<{ readings: Reading[]; times: StageTimes }> {
  const startMs = performance.now();
  memory.begin();
  const runs = inputs.map((input) => pipeline.toRuns(input, memory));
  const readyMs = performance.now();
  // States belong to one input each.
  const outputs =
    pipeline.states.length === 0 && canStack(tensors, runs)
      ? await runStacked(session, runs)
      : await runInTurn(session, pipeline, tensors, runs);
  const ranMs = performance.now();
  const readings = inputs.map((input, at) => pipeline.read(outputs[at] ?? [], input));
  const times = { preMs: readyMs - startMs, runMs: ranMs - readyMs, postMs: performance.now() - ranMs };
  return { readings, times };
}

function canStack(tensors: Tensors, runs: readonly NamedTensor[][][]): boolean {
  if (runs.length < 2 || !hasFreeBatch(tensors)) return false;
  // An input of several rows would get a row of its neighbour.
  if (!runs.every((one) => one.every((run) => run.every(({ shape }) => shape[0] === 1)))) return false;
  const shapes = runs.map((one) => (one.length === 1 ? JSON.stringify(one[0]?.map(({ shape }) => shape)) : undefined));
  return shapes[0] !== undefined && shapes.every((shape) => shape === shapes[0]);
}

async function runStacked(session: TensorRunner, runs: readonly NamedTensor[][][]): Promise<RunOutputs[]> {
  const batches = runs.map(([batch = []]) => batch);
  const columns = batches[0]?.map((_, at) => stackTensors(batches.map((batch) => batch[at] as NamedTensor))) ?? [];
  const outputs = await session.run(columns);
  return batches.map((_, at) => [outputs.map((output) => rowsOf(output, at, at + 1))]);
}

async function runInTurn(
  session: TensorRunner,
  { states }: Pipeline,
  tensors: Tensors,
  runs: readonly NamedTensor[][][],
): Promise<RunOutputs[]> {
  const all: RunOutputs[] = [];
  for (const steps of runs) all.push((await runSteps(session, states, steps, zeroStates(tensors, states))).outputs);
  return all;
}

/** Runs steps one after the other, feeding states back; returns the outputs of each and the states after the last. */
export async function runSteps(
  session: TensorRunner,
  names: Pipeline["states"],
  steps: readonly NamedTensor[][],
  states: readonly NamedTensor[],
): Promise<{ outputs: RunOutputs; states: readonly NamedTensor[] }> {
  let fed = states;
  const outputs: RunOutputs = [];
  for (const step of steps) {
    const out = await session.run([...step, ...fed]);
    const before = fed;
    fed = names.map(({ input, output }, at) => {
      const state = out.find(({ name }) => name === output);
      return state === undefined ? (before[at] as NamedTensor) : { ...state, name: input };
    });
    outputs.push(out);
  }
  return { outputs, states: fed };
}

/** The states before the first run: free dimensions are 1. */
export function zeroStates({ inputs }: Tensors, states: Pipeline["states"]): NamedTensor[] {
  return states.map(({ input: name }) => {
    const spec = inputs.find((input) => input.name === name);
    const shape = spec?.shape.map((size) => (typeof size === "string" ? 1 : size)) ?? [];
    const dtype = spec?.dtype ?? "float32";
    return { name, dtype, shape, data: newTensorData(dtype, sizeOf(shape)) };
  });
}
