import { type Manifest, MusterError } from "@muster/shared";
import {
  type Classification,
  classify,
  compareTensors,
  type FeatureValues,
  featureValues,
  imageFeatures,
  imageShape,
  imageTensor,
  OnnxSession,
  type Pixels,
  type Placement,
} from "@muster/shared/inference";
import { type Decryption, modelSource } from "./model-file.js";

/** What an engine is made from. */
export interface EngineSpec {
  readonly modelPath: string;
  /** There when the file is encrypted; its plaintext is never written. */
  readonly decryption?: Decryption | undefined;
  readonly provider: string;
  readonly threads: number;
  /** Where a provider may keep what took it long to make. */
  readonly cacheDir?: string | undefined;
  readonly manifest: Pick<Manifest, "tensors" | "preprocess" | "postprocess" | "baseline">;
}

/** The answer to one row of a batch. */
export interface EngineRow extends Omit<Classification, "scores"> {
  readonly features: FeatureValues;
}

/** The answers to one run and how long its stages took in the engine, in milliseconds. */
export interface EngineAnswer {
  readonly rows: readonly EngineRow[];
  readonly times: { readonly preMs: number; readonly runMs: number; readonly postMs: number };
}

/** One loaded model with its pipeline. Every call blocks its thread; see {@link OnnxSession}. */
export class Engine {
  readonly #session: OnnxSession;
  readonly #manifest: EngineSpec["manifest"];
  /** Where the nodes of the first run really ran; undefined on the processor. */
  readonly placement: Placement | undefined;

  private constructor(session: OnnxSession, manifest: EngineSpec["manifest"], placement: Placement | undefined) {
    this.#session = session;
    this.#manifest = manifest;
    this.placement = placement;
  }

  /**
   * Loads the model, holds it against its manifest and runs it once, so that the first real input
   * finds it warm. Throws `engine/failed`, `artifact/undecryptable`.
   */
  static async open({ modelPath, decryption, provider, threads, cacheDir, manifest }: EngineSpec): Promise<Engine> {
    const session = await OnnxSession.load(await modelSource(modelPath, decryption), { provider, threads, cacheDir });
    const problems = compareTensors(manifest.tensors, session.tensors());
    if (problems.length > 0) {
      await session.close();
      const text = problems.map(({ field, message }) => `${field}: ${message}`).join("; ");
      throw new MusterError("engine/failed", `the model file does not fit its manifest: ${text}`, { problems });
    }
    const shape = imageShape(manifest.preprocess);
    await session.run(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    return new Engine(session, manifest, await session.placement());
  }

  /** Classifies a decoded picture. Throws `engine/failed`, `tensor/invalid`. */
  async image(pixels: Pixels): Promise<EngineAnswer & { readonly classification: Classification }> {
    const { preprocess, postprocess, baseline } = this.#manifest;
    const startMs = performance.now();
    const tensor = imageTensor(pixels, preprocess);
    const readyMs = performance.now();
    const { data } = await this.#session.run(tensor, imageShape(preprocess));
    const ranMs = performance.now();
    const classification = classify(data, postprocess);
    // Nobody counts features without a baseline, and on a large picture they cost milliseconds.
    const features = Object.keys(baseline).length === 0 ? {} : featureValues(imageFeatures(pixels), classification);
    const times = { preMs: readyMs - startMs, runMs: ranMs - readyMs, postMs: performance.now() - ranMs };
    return { rows: [rowOf(classification, features)], times, classification };
  }

  /** Runs a batch `[n, …]` and returns the raw output `[n, classes]` with the answers. Throws like {@link image}. */
  async tensor(
    input: Float32Array,
    shape: readonly number[],
  ): Promise<EngineAnswer & { readonly output: Float32Array }> {
    const startMs = performance.now();
    const { data, rowLength } = await this.#session.run(input, shape);
    const ranMs = performance.now();
    const rows = Array.from({ length: shape[0] ?? 1 }, (_, at) => {
      const row = data.subarray(at * rowLength, (at + 1) * rowLength);
      const classification = classify(row, this.#manifest.postprocess);
      const { confidence, label } = classification;
      return rowOf(classification, { confidence, class: label });
    });
    // Copied, because what is sent to another thread must not be ONNX Runtime's own memory.
    const output = Float32Array.from(data);
    return { rows, output, times: { preMs: 0, runMs: ranMs - startMs, postMs: performance.now() - ranMs } };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

function rowOf({ label, confidence, classes }: Classification, features: FeatureValues): EngineRow {
  return { label, confidence, classes, features };
}
