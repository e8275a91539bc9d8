import type { Placement } from "@muster/shared/inference";
import type { EngineAnswer } from "./engine.js";
import type { WireError } from "./wire-error.js";

/** One run, as the main thread asks it of an engine thread. */
export type EngineJob =
  /** A decoded picture: rows of RGB bytes, `[height, width, 3]`. */
  | { readonly kind: "image"; readonly data: Uint8Array<ArrayBuffer>; readonly width: number; readonly height: number }
  /** A batch for the model's input, `[n, …]`. */
  | { readonly kind: "tensor"; readonly data: Float32Array<ArrayBuffer>; readonly shape: readonly number[] };

/** What came out; `output` is the raw `[n, classes]` of a tensor job. */
export interface EngineResult extends EngineAnswer {
  readonly output?: Float32Array;
}

/** Main thread to engine thread. A thread has at most one job. */
export type ToEngine = { readonly job: EngineJob } | "close";

/** Engine thread to main thread: first `ready` or a `fatal` error, then one answer per job. */
export type FromEngine =
  | { readonly kind: "ready"; readonly placement?: Placement }
  | { readonly kind: "fatal"; readonly error: WireError }
  | { readonly kind: "answer"; readonly result: EngineResult }
  | { readonly kind: "error"; readonly error: WireError };
