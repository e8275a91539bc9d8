import { MusterError } from "../errors.js";
import type { Placement } from "./inputs/image-placement.js";
import { type NamedTensor, ownTensor } from "./named-tensor.js";

/** A decoded and resized picture: rows of RGB bytes, `[height, width, 3]`. */
export interface ImageInput {
  readonly kind: "image";
  readonly data: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  /** There when outputs have to be mapped back to the picture as it was sent. */
  readonly placement?: Placement;
}

/** One row of a table, or one window of a series: numbers before scaling, row by row; categories by their place. */
export interface RowsInput {
  readonly kind: "rows";
  readonly data: Float64Array<ArrayBuffer>;
  readonly rows: number;
}

/** A recording: one channel, −1..1, at the rate it was recorded with. */
export interface AudioInput {
  readonly kind: "audio";
  readonly data: Float32Array<ArrayBuffer>;
  /** Samples per second. */
  readonly rate: number;
}

/** Tensors as a client sent them, each with a first dimension of 1 where the model has a batch. */
export interface TensorsInput {
  readonly kind: "tensors";
  readonly tensors: readonly NamedTensor[];
}

/**
 * One input of a model after decoding and before its tensors are made: what the runner's main thread hands to an engine
 * thread. Every array lies in memory of its own, see {@link bytesOfInput}.
 */
export type DecodedInput = ImageInput | RowsInput | AudioInput | TensorsInput;

/** What a body held: one input, or a list of them (rows of a table, windows of a series), which gets a list of answers. */
export interface DecodedBody {
  readonly inputs: readonly DecodedInput[];
  readonly list: boolean;
}

/** The one input of a self-test sample. Throws `input/invalid` when the file holds several. */
export function onlyInput({ inputs }: DecodedBody): DecodedInput {
  const [input] = inputs;
  if (input !== undefined && inputs.length === 1) return input;
  throw new MusterError("input/invalid", `holds ${inputs.length} inputs; a sample is one, so make one file of each`);
}

/** The memory of an input, to be handed to another thread with it. */
export function bytesOfInput(input: DecodedInput): ArrayBuffer[] {
  return input.kind === "tensors" ? bytesOfTensors(input.tensors) : [input.data.buffer];
}

/** The memory of tensors, each buffer once. */
export function bytesOfTensors(tensors: readonly NamedTensor[]): ArrayBuffer[] {
  return [...new Set(tensors.map(({ data }) => data.buffer))];
}

/** A copy of an input that stays when the original is handed to another thread. */
export function copyOfInput(input: DecodedInput): DecodedInput {
  switch (input.kind) {
    case "image":
      return { ...input, data: input.data.slice() };
    case "rows":
      return { ...input, data: input.data.slice() };
    case "audio":
      return { ...input, data: input.data.slice() };
    case "tensors":
      return { ...input, tensors: input.tensors.map(ownTensor) };
  }
}
