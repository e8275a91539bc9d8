import {
  bytesOfInput,
  bytesOfTensors,
  type DecodedInput,
  type NamedTensor,
  type NodePlacement,
} from "@muster/shared/inference";
import type { EngineAnswer } from "./engine.js";
import type { WireError } from "./wire-error.js";

/** One run, as the main thread asks it of an engine thread. */
export type EngineJob =
  /** A batch of decoded inputs of the task; answered by as many rows. */
  | { readonly kind: "inputs"; readonly inputs: readonly DecodedInput[] }
  /** Tensors as a client sent them; answered by the outputs of these names, or all. */
  | { readonly kind: "tensors"; readonly inputs: readonly NamedTensor[]; readonly outputs?: readonly string[] };

/** What came out; `outputs` are those of a tensor job. */
export interface EngineResult extends EngineAnswer {
  readonly outputs?: readonly NamedTensor[];
}

/** How one job of a batch ended. */
export type EngineOutcome = { readonly result: EngineResult } | { readonly error: WireError };

/** Main thread to engine thread: jobs that may share a run. A thread has at most one such batch. */
export type ToEngine = { readonly jobs: readonly EngineJob[] } | "close";

/** Engine thread to main thread: first `ready` or a `fatal` error, then per batch one outcome for each job, in order. */
export type FromEngine =
  | { readonly kind: "ready"; readonly placement?: NodePlacement }
  | { readonly kind: "fatal"; readonly error: WireError }
  | { readonly kind: "outcomes"; readonly outcomes: readonly EngineOutcome[] };

/** The memory that goes with a job to the engine thread and is gone here. */
export function bytesOfJob(job: EngineJob): ArrayBuffer[] {
  return job.kind === "tensors" ? bytesOfTensors(job.inputs) : [...new Set(job.inputs.flatMap(bytesOfInput))];
}

/** Inputs in a job: rows of the batch for tensors. */
export function rowsOfJob(job: EngineJob): number {
  return job.kind === "inputs" ? job.inputs.length : (job.inputs[0]?.shape[0] ?? 1);
}

/**
 * What jobs have in common that may share a run of a model whose batch dimension is free: that they are decoded inputs,
 * or tensors of the same names, types and row shapes.
 */
export function batchKeyOf(job: EngineJob): string {
  if (job.kind === "inputs") return "inputs";
  return job.inputs.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.slice(1).join("x")}`).join();
}
