// What one would write without Muster: sharp, a loop over the pixels, onnxruntime-node. Only what the numbers that come out
// mean is read by our code, so that finding boxes in them is the same work on both sides.
import { performance } from "node:perf_hooks";
import { type Pipeline, type PipelineSpec, pipelineOf } from "@muster/shared/inference";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";
import type { LoadResult } from "./load-process.js";

/** What is loaded. */
export interface BareModel {
  readonly modelFile: string;
  readonly threads: number;
  /** Of the picture the model takes. */
  readonly width: number;
  readonly height: number;
  /** Of the channels of the tensor, which are blue, green and red. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** How its outputs are read. */
  readonly spec: PipelineSpec;
}

/** What is done with it, one after the other. */
export interface BareWork {
  /** Pictures to decode and run, or the numbers of one tensor to run. */
  readonly pictures?: readonly Buffer[];
  readonly tensor?: { readonly data: Float32Array; readonly shape: readonly number[] };
  readonly count: number;
}

/** A loaded model, and what is done with it. */
export class Bare {
  readonly #session: InferenceSession;
  readonly #model: BareModel;
  readonly #read: Pipeline["read"];

  private constructor(session: InferenceSession, model: BareModel) {
    this.#session = session;
    this.#model = model;
    this.#read = pipelineOf(model.spec).read;
  }

  /** Throws when the file is no model. */
  static async load(model: BareModel): Promise<Bare> {
    const options = { intraOpNumThreads: model.threads, interOpNumThreads: 1 };
    return new Bare(await InferenceSession.create(model.modelFile, options), model);
  }

  /** Does work and times each part of it. */
  async run({ pictures, tensor, count }: BareWork): Promise<LoadResult> {
    const timesMs: number[] = [];
    const bytes = pictures?.map((picture) => Buffer.from(picture)) ?? [];
    const before = process.cpuUsage();
    const beginMs = performance.now();
    for (let at = 0; at < count; at += 1) {
      const askedMs = performance.now();
      if (tensor === undefined) await this.answer(bytes[at % bytes.length] as Buffer);
      else await this.output(tensor.data, tensor.shape);
      timesMs.push(performance.now() - askedMs);
    }
    const wallMs = performance.now() - beginMs;
    const { user, system } = process.cpuUsage(before);
    return { timesMs, wallMs, cpuMs: (user + system) / 1000 };
  }

  /** Decodes a picture, runs it and reads what came out. */
  async answer(jpeg: Buffer): Promise<object> {
    const { width, height, mean, std } = this.#model;
    const pixels = await sharp(jpeg).resize(width, height, { fit: "fill" }).removeAlpha().raw().toBuffer();
    const output = await this.output(normalised(pixels, width * height, mean, std), [1, 3, height, width]);
    const data = output.data as Float32Array<ArrayBuffer>;
    const name = this.#session.outputNames[0] ?? "";
    const outputs = [{ name, dtype: "float32", shape: output.dims, data } as const];
    return this.#read([outputs], { kind: "image", data: new Uint8Array(0), width, height }).answer;
  }

  /** Runs the numbers of one tensor and gives the first output. */
  async output(data: Float32Array, shape: readonly number[]): Promise<Tensor> {
    const results = await this.#session.run({
      [this.#session.inputNames[0] ?? ""]: new Tensor("float32", data, shape),
    });
    return results[this.#session.outputNames[0] ?? ""] as Tensor;
  }
}

/** Pixel by pixel, as examples do it: BGR planes, (v / 255 − mean) / std. */
function normalised(
  pixels: Uint8Array,
  count: number,
  mean: readonly number[],
  std: readonly number[],
): Float32Array<ArrayBuffer> {
  const data = new Float32Array(3 * count);
  for (let at = 0; at < count; at += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const value = (pixels[at * 3 + 2 - channel] ?? 0) / 255;
      data[channel * count + at] = (value - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    }
  }
  return data;
}
