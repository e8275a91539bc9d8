import { MusterError } from "../../errors.js";
import type { DecodedInput } from "../decoded-input.js";

/** The input as the kind a pipeline works with. Throws `internal` for another: a pipeline gets what it decoded itself. */
export function expectInput<K extends DecodedInput["kind"]>(
  input: DecodedInput,
  kind: K,
): Extract<DecodedInput, { kind: K }> {
  if (input.kind === kind) return input as Extract<DecodedInput, { kind: K }>;
  throw new MusterError("internal", `an input of kind ${kind} was expected, not ${input.kind}`);
}
