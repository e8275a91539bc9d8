import { bytesOfInput, bytesOfTensors, type DecodedInput, type NamedTensor } from "@muster/shared/inference";
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

/** Main thread to engine thread. A thread has at most one job. */
export type ToEngine = { readonly job: EngineJob } | "close";

/** Engine thread to main thread: first `ready` or a `fatal` error, then one answer per job. */
export type FromEngine =
  | { readonly kind: "ready" }
  | { readonly kind: "fatal"; readonly error: WireError }
  | { readonly kind: "answer"; readonly result: EngineResult }
  | { readonly kind: "error"; readonly error: WireError };

/** The memory that goes with a job to the engine thread and is gone here. */
export function bytesOfJob(job: EngineJob): ArrayBuffer[] {
  return job.kind === "tensors" ? bytesOfTensors(job.inputs) : [...new Set(job.inputs.flatMap(bytesOfInput))];
}
