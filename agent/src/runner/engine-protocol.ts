import {
  type Answer,
  bytesOfInput,
  bytesOfTensors,
  type DecodedInput,
  type NamedTensor,
  type NodePlacement,
} from "@muster/shared/inference";
import type { EngineCounts, EngineSpec } from "./engine.js";
import type { WireError } from "./wire-error.js";

/** One run, as the main thread asks it of an engine thread. */
export type EngineJob =
  /** A batch of decoded inputs of the task; answered by as many rows. */
  | { readonly kind: "inputs"; readonly inputs: readonly DecodedInput[] }
  /** A body as it came, to be decoded there; answered by a row for each input in it. Its memory is its own. */
  | { readonly kind: "body"; readonly bytes: Uint8Array<ArrayBuffer>; readonly contentType: string }
  /** Tensors as a client sent them; answered by the outputs of these names, or all. */
  | { readonly kind: "tensors"; readonly inputs: readonly NamedTensor[]; readonly outputs?: readonly string[] }
  /** The whole frames of a piece of a stream, and the states of the piece before; answered by scores and states. */
  | { readonly kind: "frames"; readonly samples: Float32Array<ArrayBuffer>; readonly states: readonly NamedTensor[] };

/** The name of the scores among the outputs of frames, `[frames, labels]`; the others are the states. */
export const scoresName = "scores of frames";

/**
 * What came out; `answers` are those of inputs or a body, of which `list` says whether it was a list of inputs, and `outputs`
 * those of a tensor job, or scores and states of frames.
 */
export interface EngineResult extends EngineCounts {
  readonly answers?: readonly Answer[];
  readonly list?: boolean;
  readonly outputs?: readonly NamedTensor[];
}

/** How one job of a batch ended. */
export type EngineOutcome = { readonly result: EngineResult } | { readonly error: WireError };

/**
 * Main thread to engine thread: a model to load, then jobs that may share a run, at most one such batch at a time. After
 * `release` the thread takes another model; `close` ends it.
 */
export type ToEngine = { readonly spec: EngineSpec } | { readonly jobs: readonly EngineJob[] } | "release" | "close";

/**
 * Engine thread to main thread: for a model `ready` or a `fatal` error, per batch one outcome for each job, in order, and
 * `released`.
 */
export type FromEngine =
  | { readonly kind: "ready"; readonly placement?: NodePlacement; readonly providerBytes: number }
  | { readonly kind: "fatal"; readonly error: WireError }
  | { readonly kind: "released" }
  | {
      readonly kind: "outcomes";
      readonly outcomes: readonly EngineOutcome[];
      /** The memory that came with tensor jobs, to be used again. */
      readonly spent: readonly ArrayBuffer[];
    };

/** The memory that goes with a job to the engine thread and is gone here. */
export function bytesOfJob(job: EngineJob): ArrayBuffer[] {
  switch (job.kind) {
    case "tensors":
      return bytesOfTensors(job.inputs);
    case "frames":
      return [job.samples.buffer, ...bytesOfTensors(job.states)];
    case "body":
      return [job.bytes.buffer];
    case "inputs":
      return [...new Set(job.inputs.flatMap(bytesOfInput))];
  }
}

/** Inputs in a job: rows of the batch for tensors. What a body holds nobody knows; it runs alone. */
export function rowsOfJob(job: EngineJob): number {
  if (job.kind === "body" || job.kind === "frames") return 1;
  return job.kind === "inputs" ? job.inputs.length : (job.inputs[0]?.shape[0] ?? 1);
}

/**
 * What jobs have in common that may share a run of a model whose batch dimension is free: that they are decoded inputs,
 * or tensors of the same names, types and row shapes. Undefined for a job that shares with none.
 */
export function batchKeyOf(job: EngineJob): string | undefined {
  if (job.kind === "body" || job.kind === "frames") return undefined;
  if (job.kind === "inputs") return "inputs";
  return job.inputs.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.slice(1).join("x")}`).join();
}
