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
  refuseBroken,
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

/** What windows count of one input. */
export interface EngineRow {
  /** Absent for tasks without classes. */
  readonly label?: string;
  /** Empty when the version has no baseline. */
  readonly features: FeatureValues;
}

/** What came of one job, in the order of its inputs. */
export interface EngineCounts {
  readonly rows: readonly EngineRow[];
  readonly times: StageTimes;
}

/** The same with the answer to each input. */
export interface EngineAnswers extends EngineCounts {
  readonly answers: readonly Answer[];
}

/** One loaded model with its pipeline. Every call blocks its thread; see {@link OnnxSession}. */
export class Engine {
  readonly #session: OnnxSession;
  readonly #manifest: Manifest;
  readonly #pipeline: Pipeline;
  readonly #memory = new KeptMemory();
  /** Whether windows count what stands in the outputs: a label, or a feature that the baseline has. */
  readonly #countsOutputs: boolean;
  #placement: NodePlacement | undefined;
  /** What the provider took of this process by itself; 0 for the processor, and where it had run before. */
  readonly providerBytes: number;

  private constructor(session: OnnxSession, manifest: Manifest, ownBytes: number) {
    this.providerBytes = ownBytes;
    this.#session = session;
    this.#manifest = manifest;
    this.#pipeline = pipelineOf(manifest);
    const { outputFeatures } = this.#pipeline;
    this.#countsOutputs = outputFeatures.some((name) => name === "class" || manifest.baseline[name] !== undefined);
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
  async inputs(inputs: readonly DecodedInput[]): Promise<EngineAnswers> {
    try {
      const { readings, times } = await this.read(inputs);
      return { ...this.#counted(readings, times), answers: readings.map(({ answer }) => answer) };
    } catch (error) {
      const sent = inputs.flatMap((input) => (input.kind === "tensors" ? input.tensors : []));
      throw sent.length === 0 ? error : blame(error, sent, this.#manifest.tensors);
    }
  }

  /** Decodes a body and answers what it holds. Throws like {@link inputs}, and what decoding throws. */
  async body(bytes: Uint8Array, contentType: string): Promise<EngineAnswers & { readonly list: boolean }> {
    const startMs = performance.now();
    const { inputs, list } = await this.#pipeline.decode(bytes, contentType);
    const decodeMs = performance.now() - startMs;
    const { times, ...answered } = await this.inputs(inputs);
    return { ...answered, times: { ...times, preMs: times.preMs + decodeMs }, list };
  }

  /** What {@link inputs} makes its rows of. Throws like it. */
  read(inputs: readonly DecodedInput[]): Promise<{ readings: Reading[]; times: StageTimes }> {
    return runInputs(this.#session, this.#pipeline, this.#manifest.tensors, inputs, this.#memory);
  }

  /**
   * Runs a client's own tensors once and returns the outputs of these names, or all, in memory of their own, and a row for
   * each row of the batch. The outputs are read only where that finds what windows count; then `engine/failed` and
   * `tensor/invalid` are thrown as by {@link inputs}, and `input/invalid` when what was sent is at fault.
   */
  async tensors(
    inputs: readonly NamedTensor[],
    names?: readonly string[],
  ): Promise<EngineCounts & { readonly outputs: readonly NamedTensor[] }> {
    try {
      const startMs = performance.now();
      const all = await this.#session.run(inputs);
      const ranMs = performance.now();
      const rows = this.#rowsOf(inputs, all);
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
  ): Promise<EngineCounts & { readonly outputs: readonly NamedTensor[] }> {
    // Another task says so itself.
    const spec = this.#manifest as SpecOf<"audio-events">;
    const { scores, states: after, times } = await runFrames(this.#session, spec, samples, states);
    const made: NamedTensor = { name: scoresName, dtype: "float32", shape: [scores.length], data: scores };
    return { rows: [{ features: {} }], outputs: [made, ...after], times };
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

  #rowsOf(inputs: readonly NamedTensor[], outputs: readonly NamedTensor[]): EngineRow[] {
    const count = hasFreeBatch(this.#manifest.tensors) ? (inputs[0]?.shape[0] ?? 1) : 1;
    if (!this.#countsOutputs) {
      // A model whose outputs mean something to us has to give some; what the numbers of others are is their client's to know.
      if (this.#manifest.task !== "raw") refuseBroken(outputs);
      return Array.from({ length: count }, () => ({ features: {} }));
    }
    return Array.from({ length: count }, (_, at) => {
      const own = (all: readonly NamedTensor[]) => (count === 1 ? all : all.map((one) => rowsOf(one, at, at + 1)));
      return this.#rowOf(this.#pipeline.read([own(outputs)], { kind: "tensors", tensors: own(inputs) }));
    });
  }

  #counted(readings: readonly Reading[], times: StageTimes): EngineCounts {
    const startMs = performance.now();
    const rows = readings.map((reading) => this.#rowOf(reading));
    return { rows, times: { ...times, postMs: times.postMs + performance.now() - startMs } };
  }

  /** Nobody counts features without a baseline, and on a large picture they cost milliseconds. */
  #rowOf(reading: Reading): EngineRow {
    const counts = Object.keys(this.#manifest.baseline).length > 0;
    const { label } = reading;
    return { ...(label === undefined ? {} : { label }), features: counts ? reading.features() : {} };
  }
}
