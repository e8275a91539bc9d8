import { MusterError, type Problem } from "../errors.js";
import { DataType, fits, type TensorSpec, type Tensors } from "../model/tensors.js";
import { engineWords } from "./engine-words.js";
import { type NamedTensor, type TensorData, tensorDataOver } from "./named-tensor.js";
import { type NodePlacement, ProfileFolder } from "./node-placement.js";
import { type InferenceSession, ort } from "./onnxruntime.js";
import { executionProviders } from "./session-options.js";

/** Where and how wide a session runs. */
export interface EngineOptions {
  /** Name of the execution provider, `cpu` for the one that is always there. */
  readonly provider: string;
  /** Threads inside one run. */
  readonly threads: number;
  /** A folder where a provider may keep what took it long to make; see {@link executionProviders}. */
  readonly cacheDir?: string | undefined;
}

/**
 * How long the threads of a session look for more work before they sleep, in microseconds: long enough for the next part of
 * a run and for a run that follows at once. Left to itself ONNX Runtime spins so long that a model which is asked 40 times a
 * second keeps a core busy throughout, and takes it from everything else on the device.
 */
const spinUs = "2000";

/**
 * A loaded model. Loading and running **block the thread** they are called on, although they return
 * promises, so both belong in a worker thread or a process of their own.
 */
export class OnnxSession {
  readonly #session: InferenceSession;
  #profile: ProfileFolder | undefined;

  private constructor(session: InferenceSession, profile: ProfileFolder | undefined) {
    this.#session = session;
    this.#profile = profile;
  }

  /** Loads a model: a file by its path, or its bytes. Throws `engine/failed` with ONNX Runtime's own words. */
  static async load(model: string | Uint8Array, options: EngineOptions): Promise<OnnxSession> {
    const { provider, threads, cacheDir } = options;
    // On the processor there is nothing to fall back from, and a profile costs time and a file.
    const profile = provider === "cpu" ? undefined : await ProfileFolder.make();
    const settings: InferenceSession.SessionOptions = {
      executionProviders: executionProviders(provider, cacheDir),
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: { session: { intra_op: { spin_duration_us: spinUs } } },
      ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile.prefix }),
    };
    try {
      const session = await (typeof model === "string"
        ? ort.InferenceSession.create(model, settings)
        : ort.InferenceSession.create(model, settings));
      return new OnnxSession(session, profile);
    } catch (cause) {
      await profile?.remove();
      throw new MusterError(
        "engine/failed",
        `ONNX Runtime cannot load the model on ${provider}: ${engineWords(cause)}`,
        {
          cause,
        },
      );
    }
  }

  /** The names, types and shapes the file itself declares; free dimensions are names. */
  tensors(): Tensors {
    return { inputs: this.#session.inputMetadata.map(toSpec), outputs: this.#session.outputMetadata.map(toSpec) };
  }

  /**
   * Runs the model once with any number of inputs and returns the outputs of these names, or all in the file's order. What
   * comes back is ONNX Runtime's own memory: copy it ({@link ownTensor}) before it is handed to another thread. Throws
   * `engine/failed`.
   */
  async run(
    inputs: readonly NamedTensor[],
    outputs: readonly string[] = this.#session.outputNames,
  ): Promise<NamedTensor[]> {
    try {
      const feeds = Object.fromEntries(
        inputs.map(({ name, dtype, shape, data }) => [name, new ort.Tensor(dtype, data, shape)]),
      );
      const results = await this.#session.run(feeds, outputs);
      return outputs.map((name) => toNamed(name, results[name]));
    } catch (cause) {
      throw new MusterError("engine/failed", `ONNX Runtime failed to run the model: ${engineWords(cause)}`, { cause });
    }
  }

  /**
   * Where the model's nodes were run so far; call it once, after the first run. Undefined on the processor, where nothing
   * can fall, and when it was called before.
   */
  async placement(): Promise<NodePlacement | undefined> {
    const profile = this.#profile;
    this.#profile = undefined;
    if (profile === undefined) return undefined;
    this.#session.endProfiling();
    return profile.take();
  }

  async close(): Promise<void> {
    await this.#session.release();
    await this.#profile?.remove();
  }
}

/** Where a bundle's tensors and those of its model file differ; empty when they agree. */
export function compareTensors(declared: Tensors, actual: Tensors, field = "tensors"): Problem[] {
  return [
    ...compareSide(declared.inputs, actual.inputs, `${field}.inputs`),
    ...compareSide(declared.outputs, actual.outputs, `${field}.outputs`),
  ];
}

function compareSide(declared: readonly TensorSpec[], actual: readonly TensorSpec[], field: string): Problem[] {
  const names = actual.map(({ name }) => name);
  const missing = actual
    .filter(({ name }) => !declared.some((tensor) => tensor.name === name))
    .map(({ name }) => ({ field, message: `the model file has '${name}', the bundle does not; add it` }));
  const wrong = declared.flatMap((tensor, at): Problem[] => {
    const real = actual.find(({ name }) => name === tensor.name);
    if (real === undefined) {
      return [
        {
          field: `${field}[${at}].name`,
          message: `the model file has no '${tensor.name}'; it has ${names.join(", ")}`,
        },
      ];
    }
    const problems: Problem[] = [];
    if (real.dtype !== tensor.dtype) {
      problems.push({
        field: `${field}[${at}].dtype`,
        message: `the model file says ${real.dtype}, not ${tensor.dtype}`,
      });
    }
    if (!fits(tensor.shape, real.shape)) {
      problems.push({
        field: `${field}[${at}].shape`,
        message: `the model file says [${real.shape.join(", ")}], not [${tensor.shape.join(", ")}]`,
      });
    }
    return problems;
  });
  return [...missing, ...wrong];
}

function toNamed(name: string, tensor: InstanceType<typeof ort.Tensor> | undefined): NamedTensor {
  const dtype = DataType.safeParse(tensor?.type);
  if (tensor === undefined || !dtype.success) {
    throw new Error(`output ${name} is ${tensor?.type ?? "missing"}, which is not supported`);
  }
  const { buffer, byteOffset, length } = tensor.data as TensorData;
  // Newer versions of Node.js have a float16 array of their own; here its bits do, whatever the version.
  const data =
    dtype.data === "float16" ? tensorDataOver("float16", buffer, byteOffset, length) : (tensor.data as TensorData);
  return { name, dtype: dtype.data, shape: [...tensor.dims], data };
}

function toSpec(metadata: InferenceSession.ValueMetadata): TensorSpec {
  const { name } = metadata;
  if (!metadata.isTensor) return { name, dtype: "float32", shape: ["not a tensor"] };
  return { name, dtype: metadata.type as TensorSpec["dtype"], shape: [...metadata.shape] };
}
