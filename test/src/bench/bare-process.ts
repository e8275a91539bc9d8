// What one would write without Muster: sharp, a loop over the pixels, onnxruntime-node. Nothing in here is ours.
import { performance } from "node:perf_hooks";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";
import type { LoadResult } from "./load-process.js";

/** Loads a model; answered by `"ready"`. */
export interface BareModel {
  readonly modelFile: string;
  readonly threads: number;
  /** Of the picture the model takes. */
  readonly width: number;
  readonly height: number;
}

/** What it does then; the answer is a {@link LoadResult}. */
export interface BareWork {
  /** Pictures to decode and run, or the numbers of one tensor to run. */
  readonly pictures?: readonly Buffer[];
  readonly tensor?: { readonly data: Float32Array; readonly shape: readonly number[] };
  readonly count: number;
}

let session: InferenceSession;
let size = { width: 0, height: 0 };

process.on("message", (message: BareModel | BareWork) => {
  handle(message).then(
    (answer) => process.send?.(answer),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function handle(message: BareModel | BareWork): Promise<"ready" | LoadResult> {
  if (!("modelFile" in message)) return run(message);
  const { modelFile, threads, width, height } = message;
  session = await InferenceSession.create(modelFile, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  size = { width, height };
  return "ready";
}

async function run({ pictures, tensor, count }: BareWork): Promise<LoadResult> {
  const timesMs: number[] = [];
  const bytes = pictures?.map((picture) => Buffer.from(picture)) ?? [];
  const before = process.cpuUsage();
  const beginMs = performance.now();
  for (let at = 0; at < count; at += 1) {
    const askedMs = performance.now();
    if (tensor === undefined) await label(bytes[at % bytes.length] as Buffer);
    else await output(tensor.data, tensor.shape);
    timesMs.push(performance.now() - askedMs);
  }
  const wallMs = performance.now() - beginMs;
  const { user, system } = process.cpuUsage(before);
  return { timesMs, wallMs, cpuMs: (user + system) / 1000 };
}

async function label(jpeg: Buffer): Promise<number> {
  const { width, height } = size;
  const pixels = await sharp(jpeg).resize(width, height, { fit: "fill" }).removeAlpha().raw().toBuffer();
  const scores = await output(normalised(pixels, width * height), [1, 3, height, width]);
  let best = 0;
  for (let at = 1; at < scores.length; at += 1) if ((scores[at] ?? 0) > (scores[best] ?? 0)) best = at;
  return best;
}

async function output(data: Float32Array, shape: readonly number[]): Promise<Float32Array> {
  const results = await session.run({ [session.inputNames[0] ?? ""]: new Tensor("float32", data, shape) });
  return results[session.outputNames[0] ?? ""]?.data as Float32Array;
}

/** Pixel by pixel, as examples do it: BGR planes, (v / 255 − 0.5) / 0.5. */
export function normalised(pixels: Uint8Array, count: number): Float32Array {
  const data = new Float32Array(3 * count);
  for (let at = 0; at < count; at += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      data[channel * count + at] = ((pixels[at * 3 + 2 - channel] ?? 0) / 255 - 0.5) / 0.5;
    }
  }
  return data;
}
