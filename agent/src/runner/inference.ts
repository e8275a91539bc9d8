import { asMusterError, MusterError } from "@muster/shared";
import type { Answer, NamedTensor } from "@muster/shared/inference";
import type { EngineResult } from "./engine-protocol.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { Slots } from "./slots.js";
import type { Windows } from "./windows.js";

export interface InferenceDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  /** Inputs that may wait per model. */
  readonly maxQueue: number;
}

/** The answers to one body. */
export interface InputAnswers {
  readonly model: string;
  readonly version: string;
  /** One per input of the body. */
  readonly answers: readonly Answer[];
  /** Whether the body was a list of inputs; a single input has one answer. */
  readonly list: boolean;
  readonly latencyMs: number;
}

/** The one way from an input to its answer, whoever asks. */
export class Inference {
  readonly #deps: InferenceDeps;

  constructor(deps: InferenceDeps) {
    this.#deps = deps;
  }

  /** Whether a picture for the model would be taken now, has to wait, or nothing serves it. */
  state(model: string): "open" | "full" | "not-serving" {
    const { slots, maxQueue } = this.#deps;
    if (!slots.names().includes(model)) return "not-serving";
    return this.#queued(model) < maxQueue ? "open" : "full";
  }

  /**
   * Decodes a body as the model's pipeline says and answers it. Throws `image/…`, `input/…`, `engine/failed`, and
   * `runner/overloaded` when the model's queue is full.
   */
  async input(to: LoadedSlot, bytes: Uint8Array, contentType = ""): Promise<InputAnswers> {
    const startMs = performance.now();
    const { model, version } = to.slot;
    return this.#admitted(to, async () => {
      const { inputs, list } = await to.pipeline.decode(bytes, contentType);
      const decodedMs = performance.now();
      const result = await to.run({ kind: "inputs", inputs });
      const latencyMs = this.#fold(to, result, startMs, decodedMs);
      return { model, version, answers: result.rows.map(({ answer }) => answer), list, latencyMs };
    });
  }

  /** Runs tensors and returns the outputs of these names, or all. The bytes are handed over. Throws like {@link input}. */
  async tensors(
    to: LoadedSlot,
    inputs: readonly NamedTensor[],
    outputs?: readonly string[],
  ): Promise<readonly NamedTensor[]> {
    const startMs = performance.now();
    return this.#admitted(to, async () => {
      const result = await to.run({ kind: "tensors", inputs, ...(outputs === undefined ? {} : { outputs }) });
      this.#fold(to, result, startMs, startMs);
      return result.outputs ?? [];
    });
  }

  async #admitted<T>(to: LoadedSlot, work: () => Promise<T>): Promise<T> {
    const { windows, maxQueue } = this.#deps;
    const { model } = to.slot;
    if (this.#queued(model) >= maxQueue) {
      windows.dropped(to.slot);
      throw new MusterError("runner/overloaded", `${maxQueue} inputs wait for ${model} already; try again later`);
    }
    try {
      return await to.admit(work);
    } catch (error) {
      // A picture that cannot be read is the fault of who sent it, and must not speak against the version.
      if (/^(?:engine|internal|tensor)/.test(asMusterError(error).code)) windows.failed(to.slot);
      throw error;
    }
  }

  /** Adds every row to the window, and returns the time from bytes to answer. All rows of a batch waited for the whole. */
  #fold(to: LoadedSlot, { rows, times }: EngineResult, startMs: number, decodedMs: number): number {
    const endMs = performance.now();
    const pre = decodedMs - startMs + times.preMs;
    const busyMs = times.preMs + times.runMs + times.postMs;
    const stages = {
      pre,
      // All that is not work is waiting, the way to the engine thread and back included.
      queue: Math.max(0, endMs - decodedMs - busyMs),
      run: times.runMs,
      post: times.postMs,
      total: endMs - startMs,
    };
    for (const { label, features } of rows) {
      this.#deps.windows.answered(to.slot, { ...(label === undefined ? {} : { label }), features, stages });
    }
    return stages.total;
  }

  #queued(model: string): number {
    return this.#deps.slots.versions(model).reduce((sum, { queued }) => sum + queued, 0);
  }
}
