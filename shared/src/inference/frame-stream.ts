import { MusterError } from "../errors.js";
import { outputOf } from "../model/postprocess/output.js";
import type { Tensors } from "../model/tensors.js";
import { audioFrames } from "./inputs/audio-input.js";
import { floatsOf, type NamedTensor, ownTensor } from "./named-tensor.js";
import type { SpecOf } from "./pipeline.js";
import { runSteps, type StageTimes, type TensorRunner, zeroStates } from "./pipeline-run.js";

/** How a model of recordings takes a stream; counts are samples at `rate`. */
export interface StreamForm {
  readonly rate: number;
  /** What stands in front of every frame. */
  readonly context: number;
  readonly size: number;
  readonly hop: number;
  readonly labels: readonly string[];
}

/** What the frames of a piece of a stream gave. */
export interface FrameScores {
  /** `[frames, labels]` */
  readonly scores: Float32Array<ArrayBuffer>;
  /** What the next piece begins with. */
  readonly states: readonly NamedTensor[];
  readonly times: StageTimes;
}

/** How the model takes a stream; undefined when it hears recordings as a whole, or something else. */
export function streamForm(spec: { readonly task: string }): StreamForm | undefined {
  const { task, preprocess, postprocess } = spec as SpecOf<"audio-events">;
  if (task !== "audio-events" || preprocess.frame === undefined) return undefined;
  const { rate, frame } = preprocess;
  const { samples, hop = samples, context } = frame;
  return { rate, context, size: samples, hop, labels: postprocess.labels };
}

/** Samples from the context of the first of so many frames up to the end of the last, and to the next where frames lie apart. */
export function spanOf({ context, size, hop }: StreamForm, frames: number): number {
  return context + (frames - 1) * hop + Math.max(size, hop);
}

/** How many whole frames so many samples hold, the context in front of the first included. */
export function framesIn(form: StreamForm, samples: number): number {
  return Math.max(0, Math.floor((samples - spanOf(form, 1)) / form.hop) + 1);
}

/**
 * Runs the model over the whole frames of a piece, −1..1, which begins with the context of the first one. `states` are those
 * of the piece before; none at the beginning of a stream. Throws `engine/failed`, and `input/invalid` for a model that takes
 * no streams.
 */
export async function runFrames(
  session: TensorRunner,
  spec: SpecOf<"audio-events">,
  samples: Float32Array,
  states: readonly NamedTensor[],
): Promise<FrameScores> {
  const startMs = performance.now();
  const form = streamForm(spec);
  if (form === undefined) throw new MusterError("input/invalid", "the model does not run frame by frame");
  const { tensors, preprocess } = spec;
  const steps = audioFrames(preprocess, tensors, samples, framesIn(form, samples.length));
  const readyMs = performance.now();
  const from = states.length > 0 ? states : zeroStates(tensors, preprocess.states);
  const { outputs, states: after } = await runSteps(session, preprocess.states, steps, from);
  const ranMs = performance.now();
  const scores = scoresOf(outputs, tensors, spec.postprocess.output, form.labels.length);
  const times = { preMs: readyMs - startMs, runMs: ranMs - readyMs, postMs: performance.now() - ranMs };
  return { scores, states: after.map(ownTensor), times };
}

function scoresOf(
  outputs: readonly (readonly NamedTensor[])[],
  tensors: Tensors,
  output: string | undefined,
  labels: number,
): Float32Array<ArrayBuffer> {
  const name = outputOf(tensors, output)?.name ?? "";
  const scores = new Float32Array(outputs.length * labels);
  for (const [at, one] of outputs.entries()) scores.set(floatsOf(one, name).subarray(0, labels), at * labels);
  if (scores.some((score) => !Number.isFinite(score))) {
    throw new MusterError(
      "engine/failed",
      "the model's scores are not numbers; its weights or this provider are broken",
    );
  }
  return scores;
}
