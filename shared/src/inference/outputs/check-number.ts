import { MusterError } from "../../errors.js";
import { floatsOf, type NamedTensor } from "../named-tensor.js";

/**
 * The numbers of an output. Throws `engine/failed` when the first is NaN: a provider that breaks gives nothing else, and to
 * find nothing in that would look like an empty picture.
 */
export function soundFloats(outputs: readonly NamedTensor[], name: string): Float32Array {
  const data = floatsOf(outputs, name);
  return Number.isNaN(data[0]) ? floatsAreBroken() : data;
}

/** Throws as {@link soundFloats} does, for outputs that nobody reads. Only 32-bit floats are looked at. */
export function refuseBroken(outputs: readonly NamedTensor[]): void {
  for (const { data } of outputs) if (data instanceof Float32Array && Number.isNaN(data[0])) floatsAreBroken();
}

/** The number, which a sound model gives. Throws `engine/failed` for NaN and infinities. */
export function checkNumber(value: number): number {
  if (Number.isFinite(value)) return value;
  return floatsAreBroken();
}

function floatsAreBroken(): never {
  throw new MusterError("engine/failed", "the model's output is not a number; its weights or this provider are broken");
}
