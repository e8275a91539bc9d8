import { MusterError } from "../../errors.js";

/** The number, which a sound model gives. Throws `engine/failed` for NaN and infinities. */
export function checkNumber(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new MusterError("engine/failed", "the model's output is not a number; its weights or this provider are broken");
}
