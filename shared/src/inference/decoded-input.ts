import { type NamedTensor, ownTensor, type TensorData } from "./named-tensor.js";
import type { Pixels } from "./sharp-image.js";

/** A decoded picture. */
export interface ImageInput extends Pixels {
  readonly kind: "image";
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
export type DecodedInput = ImageInput | TensorsInput;

/** What a body held: one input, or a list of them (rows of a table, windows of a series), which gets a list of answers. */
export interface DecodedBody {
  readonly inputs: readonly DecodedInput[];
  readonly list: boolean;
}

/** The memory of an input, to be handed to another thread with it. */
export function bytesOfInput(input: DecodedInput): ArrayBuffer[] {
  return input.kind === "image" ? [input.data.buffer] : bytesOfTensors(input.tensors);
}

/** The memory of tensors, each buffer once. */
export function bytesOfTensors(tensors: readonly NamedTensor[]): ArrayBuffer[] {
  return [...new Set(tensors.map(({ data }) => data.buffer))];
}

/** Numbers in memory that nothing else shares: as they are when they fill theirs, else copied. */
export function ownNumbers<T extends TensorData>(data: T): T {
  return data.byteLength === data.buffer.byteLength ? data : (data.slice() as T);
}

/** A copy of an input that stays when the original is handed to another thread. */
export function copyOfInput(input: DecodedInput): DecodedInput {
  if (input.kind === "image") return { ...input, data: input.data.slice() };
  return { ...input, tensors: input.tensors.map(ownTensor) };
}
