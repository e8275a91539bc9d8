import { type Manifest, MusterError } from "@muster/shared";
import {
  type Answer,
  compareTensors,
  type DecodedInput,
  type FeatureValues,
  hasFreeBatch,
  KeptMemory,
  type NamedTensor,
  type NodePlacement,
  OnnxSession,
  ownTensor,
  type Pipeline,
  pipelineOf,
  providerBytes,
  type Reading,
  rowsOf,
  runFrames,
  runInputs,
  type SpecOf,
  type StageTimes,
} from "@muster/shared/inference";
import { blame } from "./client-fault.js";
import { scoresName } from "./engine-protocol.js";
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
  /** Something serves meanwhile, and goes before the loading. */
  readonly aside?: boolean;
  readonly manifest: Manifest;
}

/** The answer to one input. */
export interface EngineRow {
  readonly answer: Answer;
  /** The class that counts in the windows; absent for tasks without classes. */
  readonly label?: string;
  /** Empty when the version has no baseline. */
  readonly features: FeatureValues;
}

/** The answers to one job, in the order of its inputs. */
export interface EngineAnswer {
  readonly rows: readonly EngineRow[];
  readonly times: StageTimes;
}

/** One loaded model with its pipeline. Every call blocks its thread; see {@link OnnxSession}. */
export class Engine {
  readonly #session: OnnxSession;
  readonly #manifest: Manifest;
  readonly #pipeline: Pipeline;
  readonly #memory = new KeptMemory();
  #placement: NodePlacement | undefined;
  /** What the provider took of this process by itself; 0 for the processor, and where it had run before. */
  readonly providerBytes: number;

  private constructor(session: OnnxSession, manifest: Manifest, ownBytes: number) {
    this.providerBytes = ownBytes;
    this.#session = session;
    this.#manifest = manifest;
    this.#pipeline = pipelineOf(manifest);
  }

  /**
   * Loads the model, holds it against its manifest and runs it once, so that the first real input
   * finds it warm. Throws `engine/failed`, `artifact/undecryptable`.
   */
  static async open({ modelPath, decryption, provider, threads, cacheDir, manifest }: EngineSpec): Promise<Engine> {
    // Before the model, so that what is the provider's does not count as the model's.
    const ownBytes = provider === "cpu" ? 0 : await providerBytes(provider);
    const session = await OnnxSession.load(await modelSource(modelPath, decryption), { provider, threads, cacheDir });
    const problems = compareTensors(manifest.tensors, session.tensors());
    if (problems.length > 0) {
      await session.close();
      const text = problems.map(({ field, message }) => `${field}: ${message}`).join("; ");
      throw new MusterError("engine/failed", `the model file does not fit its manifest: ${text}`, { problems });
    }
    const engine = new Engine(session, manifest, ownBytes);
    await engine.#warmUp();
    engine.#placement = await session.placement();
    return engine;
  }

  /** Where the nodes of the first run really ran; undefined on the processor. */
  get placement(): NodePlacement | undefined {
    return this.#placement;
  }

  /**
   * Answers a batch of decoded inputs, in one run where the model allows it. Throws `engine/failed`, `tensor/invalid`, and
   * `input/invalid` when tensors that a client made are at fault.
   */
  async inputs(inputs: readonly DecodedInput[]): Promise<EngineAnswer> {
    try {
      const { readings, times } = await this.read(inputs);
      return this.#counted(readings, times);
    } catch (error) {
      const sent = inputs.flatMap((input) => (input.kind === "tensors" ? input.tensors : []));
      throw sent.length === 0 ? error : blame(error, sent, this.#manifest.tensors);
    }
  }

  /** Decodes a body and answers what it holds. Throws like {@link inputs}, and what decoding throws. */
  async body(bytes: Uint8Array, contentType: string): Promise<EngineAnswer & { readonly list: boolean }> {
    const startMs = performance.now();
    const { inputs, list } = await this.#pipeline.decode(bytes, contentType);
    const decodeMs = performance.now() - startMs;
    const { rows, times } = await this.inputs(inputs);
    return { rows, times: { ...times, preMs: times.preMs + decodeMs }, list };
  }

  /** What {@link inputs} makes its rows of. Throws like it. */
  read(inputs: readonly DecodedInput[]): Promise<{ readings: Reading[]; times: StageTimes }> {
    return runInputs(this.#session, this.#pipeline, this.#manifest.tensors, inputs, this.#memory);
  }

  /**
   * Runs a client's own tensors once and returns the outputs of these names, or all, in memory of their own. There is a row
   * for each row of the batch when the task can read the outputs, else none. Throws
   * `engine/failed`, and `input/invalid` when what was sent is at fault.
   */
  async tensors(
    inputs: readonly NamedTensor[],
    names?: readonly string[],
  ): Promise<EngineAnswer & { readonly outputs: readonly NamedTensor[] }> {
    try {
      const startMs = performance.now();
      const all = await this.#session.run(inputs);
      const ranMs = performance.now();
      const { rows } = this.#counted(this.#readRows(inputs, all), { preMs: 0, runMs: 0, postMs: 0 });
      const asked = names === undefined ? all : all.filter(({ name }) => names.includes(name));
      const outputs = asked.map(ownTensor);
      return { rows, outputs, times: { preMs: 0, runMs: ranMs - startMs, postMs: performance.now() - ranMs } };
    } catch (error) {
      throw blame(error, inputs, this.#manifest.tensors);
    }
  }

  /**
   * Runs the whole frames of a piece of a stream. The outputs are the scores and the states, in memory of their own; the one
   * row stands for the piece. Throws `engine/failed`, and `input/invalid` for a model that takes no streams.
   */
  async frames(
    samples: Float32Array,
    states: readonly NamedTensor[],
  ): Promise<EngineAnswer & { readonly outputs: readonly NamedTensor[] }> {
    // Another task says so itself.
    const spec = this.#manifest as SpecOf<"audio-events">;
    const { scores, states: after, times } = await runFrames(this.#session, spec, samples, states);
    const rows: EngineRow[] = [{ answer: { events: [] }, features: {} }];
    const made: NamedTensor = { name: scoresName, dtype: "float32", shape: [scores.length], data: scores };
    return { rows, outputs: [made, ...after], times };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Runs only what one run needs, not what the blank input would be read as. */
  async #warmUp(): Promise<void> {
    const { tensors } = this.#manifest;
    const read = () => ({ answer: {} as Answer, features: () => ({}), fault: () => undefined });
    await runInputs(this.#session, { ...this.#pipeline, read }, tensors, [this.#pipeline.blank()]);
  }

  #readRows(inputs: readonly NamedTensor[], outputs: readonly NamedTensor[]): Reading[] {
    const count = hasFreeBatch(this.#manifest.tensors) ? (inputs[0]?.shape[0] ?? 1) : 1;
    return Array.from({ length: count }, (_, at) => {
      const row = count === 1 ? outputs : outputs.map((output) => rowsOf(output, at, at + 1));
      return this.#pipeline.read([row], { kind: "tensors", tensors: [] });
    });
  }

  #counted(readings: readonly Reading[], times: StageTimes): EngineAnswer {
    // Nobody counts features without a baseline, and on a large picture they cost milliseconds.
    const counts = Object.keys(this.#manifest.baseline).length > 0;
    const startMs = performance.now();
    const rows = readings.map((reading): EngineRow => {
      const { answer, label } = reading;
      return { answer, ...(label === undefined ? {} : { label }), features: counts ? reading.features() : {} };
    });
    return { rows, times: { ...times, postMs: times.postMs + performance.now() - startMs } };
  }
}
