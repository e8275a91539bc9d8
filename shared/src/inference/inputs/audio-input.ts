import { MusterError } from "../../errors.js";
import type { AudioPreprocess } from "../../model/preprocess/audio.js";
import type { Tensors } from "../../model/tensors.js";
import type { AudioInput } from "../decoded-input.js";
import { type NamedTensor, newTensorData, sizeOf } from "../named-tensor.js";
import type { InputSide } from "../pipeline.js";
import { audioFeatureNames, audioFeatures } from "./audio-features.js";
import { expectInput } from "./input-kind.js";
import { resample } from "./resample.js";
import { readWav } from "./wav.js";

/** The most runs of the model a recording may take, and the most numbers of its frames together: it holds up everybody else. */
const maxFrames = 20_000;
const maxNumbers = 30_000_000;

/** Recordings as inputs; the model runs frame by frame. */
export function audioInput(spec: AudioPreprocess, tensors: Tensors): InputSide {
  const { rate, scale, frame } = spec;
  const samplesName = spec.input ?? tensors.inputs[0]?.name ?? "";
  const rank = tensors.inputs.find(({ name }) => name === samplesName)?.shape.length ?? 2;
  const constants = spec.constants.map(({ input, value }) => constant(tensors, input, value));
  // Runs and features want the same samples, and to convert them is most of the work.
  const converted = new WeakMap<AudioInput, Float32Array>();
  const atRate = (input: AudioInput) => {
    const samples = converted.get(input) ?? resample(input.data, input.rate, rate);
    converted.set(input, samples);
    return samples;
  };
  const tensorOf = (data: Float32Array<ArrayBuffer>): NamedTensor => {
    const shape = [...new Array<number>(Math.max(0, rank - 1)).fill(1), data.length];
    return { name: samplesName, dtype: "float32", shape, data };
  };
  return {
    accepts: ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"],
    states: spec.states,
    decodesInPlace: true,
    featureKinds: Object.fromEntries(audioFeatureNames.map((feature) => [feature, "number"])),
    async decode(bytes) {
      const { data, rate: recorded } = readWav(bytes);
      const samples = (data.length / recorded) * rate;
      const frames = frame === undefined ? 1 : samples / (frame.hop ?? frame.samples);
      const numbers = frame === undefined ? samples : Math.max(samples, frames * (frame.samples + frame.context));
      if (frames > maxFrames || numbers > maxNumbers) {
        const seconds = (data.length / recorded).toFixed(0);
        throw new MusterError(
          "input/too-large",
          `the recording of ${seconds} s makes ${Math.ceil(frames)} frames, more than are taken at a time; send a shorter one`,
        );
      }
      return { inputs: [{ kind: "audio", data, rate: recorded }], list: false };
    },
    toRuns(input) {
      const samples = scaled(atRate(expectInput(input, "audio")), scale);
      return framesOf(samples, frame).map((one) => [tensorOf(one), ...constants]);
    },
    features: (input) => audioFeatures(atRate(expectInput(input, "audio")), rate),
    blank: () => ({ kind: "audio", data: new Float32Array(frame?.samples ?? rate), rate }),
  };
}

/** The samples of each frame with those before it; silence before the first and after the last. */
export function framesOf(samples: Float32Array, frame: AudioPreprocess["frame"]): Float32Array<ArrayBuffer>[] {
  if (frame === undefined) return [Float32Array.from(samples)];
  const { samples: size, context } = frame;
  const hop = frame.hop ?? size;
  const count = Math.max(1, Math.ceil((samples.length - size) / hop) + 1);
  return Array.from({ length: count }, (_, at) => {
    const made = new Float32Array(context + size);
    const start = at * hop - context;
    made.set(samples.subarray(Math.max(0, start), at * hop + size), Math.max(0, -start));
    return made;
  });
}

function scaled(samples: Float32Array, scale: number): Float32Array {
  return scale === 1 ? samples : samples.map((sample) => sample * scale);
}

function constant({ inputs }: Tensors, name: string, value: number): NamedTensor {
  const spec = inputs.find((input) => input.name === name);
  const dtype = spec?.dtype ?? "float32";
  const shape = (spec?.shape ?? []).map((size) => (typeof size === "string" ? 1 : size));
  const data = newTensorData(dtype, sizeOf(shape));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(Math.round(value)));
  else data.fill(value);
  return { name, dtype, shape, data };
}
