import { z } from "zod";
import type { Problem } from "../../errors.js";
import { TensorName, type Tensors } from "../tensors.js";

/** How a recording becomes tensors. */
export const AudioPreprocess = z.strictObject({
  /** WAV: PCM of 8, 16, 24 or 32 bits, or float; channels are mixed to one. */
  decode: z.literal("audio"),
  /** Samples per second the model wants; other rates are converted. */
  rate: z.int().min(1000).max(192_000),
  /** Each sample of −1..1 is multiplied by this; 32768 for models that want the range of 16 bits. */
  scale: z.number().positive().default(1),
  /** The model runs once per frame; without this, once for the recording. What is left at the end is filled with silence. */
  frame: z
    .strictObject({
      samples: z.int().min(1).max(10_000_000),
      /** Samples from the start of a frame to the start of the next; `samples` unless given. */
      hop: z.int().min(1).max(10_000_000).optional(),
      /** Samples of the time before that are put in front of each frame; silence before the first. */
      context: z.int().min(0).max(1_000_000).default(0),
    })
    .optional(),
  /** The model's input that takes the samples; the first one unless given. */
  input: TensorName.optional(),
  /** Inputs that are always the same, such as the rate: every number of them is `value`. */
  constants: z
    .array(z.strictObject({ input: TensorName, value: z.number() }))
    .max(16)
    .default([]),
  /** Memory of the model: each output is fed to the input at the next frame; zeros at the first. */
  states: z
    .array(z.strictObject({ input: TensorName, output: TensorName }))
    .max(16)
    .default([]),
});
export type AudioPreprocess = z.infer<typeof AudioPreprocess>;

/** Where samples do not fit the model's inputs. */
export function audioProblems(spec: AudioPreprocess, { inputs, outputs }: Tensors): Problem[] {
  const problems: Problem[] = [];
  const named = (field: string, name: string, tensors: Tensors["inputs"], side: string) => {
    if (tensors.some((tensor) => tensor.name === name)) return;
    problems.push({ field, message: `there is no '${name}' in tensors.${side}` });
  };
  const samples = spec.input ?? inputs[0]?.name ?? "";
  named("preprocess.input", samples, inputs, "inputs");
  for (const [at, { input }] of spec.constants.entries())
    named(`preprocess.constants[${at}].input`, input, inputs, "inputs");
  for (const [at, { input, output }] of spec.states.entries()) {
    named(`preprocess.states[${at}].input`, input, inputs, "inputs");
    named(`preprocess.states[${at}].output`, output, outputs, "outputs");
  }
  if (spec.states.length > 0 && spec.frame === undefined) {
    problems.push({ field: "preprocess.frame", message: "is missing; a model with states runs frame by frame" });
  }
  const fed = [samples, ...spec.constants.map(({ input }) => input), ...spec.states.map(({ input }) => input)];
  for (const [at, { name, shape, dtype }] of inputs.entries()) {
    if (!fed.includes(name)) {
      const message = `'${name}' gets nothing; name it in preprocess.constants or preprocess.states`;
      problems.push({ field: `tensors.inputs[${at}]`, message });
    }
    if (name !== samples) continue;
    const wanted = spec.frame === undefined ? "t" : spec.frame.samples + spec.frame.context;
    const last = shape.at(-1);
    if (typeof last === "number" && last !== wanted) {
      const message = `ends in ${last}, but preprocess makes ${wanted === "t" ? "as many samples as there are" : wanted}`;
      problems.push({ field: `tensors.inputs[${at}].shape`, message });
    }
    if (shape.slice(0, -1).some((size) => typeof size === "number" && size !== 1)) {
      problems.push({ field: `tensors.inputs[${at}].shape`, message: "must be [n, samples] or [n, 1, samples]" });
    }
    if (dtype !== "float32")
      problems.push({ field: `tensors.inputs[${at}].dtype`, message: "must be float32 for samples" });
  }
  return problems;
}
