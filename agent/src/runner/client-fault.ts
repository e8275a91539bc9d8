import { MusterError, messageOf, type Tensors } from "@muster/shared";
import { halfToFloat, hasFreeBatch, type NamedTensor } from "@muster/shared/inference";

/**
 * The error of a run on tensors that a client made: its own fault (`input/invalid`) when they hold what is not a number, or
 * have sizes that the model leaves open and then cannot take. Else it is as it was, and speaks against the version.
 */
export function blame(error: unknown, sent: readonly NamedTensor[], { inputs, outputs }: Tensors): unknown {
  for (const tensor of sent) {
    const at = notANumber(tensor);
    if (at === -1) continue;
    const message = `input '${tensor.name}' holds ${numberAt(tensor, at)} at ${at}, and the model makes no answer of that`;
    return new MusterError("input/invalid", message, { cause: error });
  }
  const [from, shapes] = [hasFreeBatch({ inputs, outputs }) ? 1 : 0, inputs.map(({ shape }) => shape)];
  if (shapes.every((shape) => shape.slice(from).every((size) => typeof size === "number"))) return error;
  const sizes = sent.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  return new MusterError("input/invalid", `the model cannot run ${sizes}: ${messageOf(error)}`, { cause: error });
}

/** The first place of a tensor that is NaN or infinite, or -1. */
function notANumber(tensor: NamedTensor): number {
  const { dtype, data } = tensor;
  // All bits of the exponent are set in half precision.
  if (dtype === "float16") return (data as Uint16Array).findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  if (dtype !== "float32" && dtype !== "float64") return -1;
  return (data as Float32Array).findIndex((value) => !Number.isFinite(value));
}

function numberAt({ dtype, data }: NamedTensor, at: number): number {
  const value = Number(data[at]);
  return dtype === "float16" ? halfToFloat(value) : value;
}
