import { asMusterError, MusterError } from "@muster/shared";
import { decodeImage } from "@muster/shared/inference";
import type { EngineJob, EngineResult } from "./engine-protocol.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { Slots } from "./slots.js";
import type { Windows } from "./windows.js";

export interface InferenceDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  /** Inputs that may wait per model. */
  readonly maxQueue: number;
}

/** The answer to one picture. */
export interface ImageAnswer {
  readonly model: string;
  readonly version: string;
  readonly label: string;
  readonly confidence: number;
  readonly classes: readonly { readonly label: string; readonly confidence: number }[];
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
   * Classifies a JPEG, PNG or WebP. Throws `image/…`, `engine/failed`, and `runner/overloaded` when the
   * model's queue is full.
   */
  async image(to: LoadedSlot, bytes: Uint8Array): Promise<ImageAnswer> {
    const startMs = performance.now();
    const { model, version, manifest } = to.slot;
    return this.#admitted(to, async () => {
      const { data, width, height } = await decodeImage(bytes, manifest.preprocess);
      const decodedMs = performance.now();
      // libvips owns the bytes, and what a library owns cannot be handed to another thread.
      const job: EngineJob = { kind: "image", data: new Uint8Array(data), width, height };
      const result = await to.run(job);
      const latencyMs = this.#fold(to, result, startMs, decodedMs);
      const [row] = result.rows;
      if (row === undefined) throw new MusterError("internal", "the engine gave no answer");
      const { label, confidence, classes } = row;
      return { model, version, label, confidence, classes, latencyMs };
    });
  }

  /** Runs a batch `[n, …]` and returns the raw output `[n, classes]`. The bytes are handed over. Throws like {@link image}. */
  async tensor(to: LoadedSlot, data: Float32Array<ArrayBuffer>, shape: readonly number[]): Promise<Float32Array> {
    const startMs = performance.now();
    return this.#admitted(to, async () => {
      const result = await to.run({ kind: "tensor", data, shape });
      this.#fold(to, result, startMs, startMs);
      return result.output ?? new Float32Array();
    });
  }

  async #admitted<T>(to: LoadedSlot, work: () => Promise<T>): Promise<T> {
    const { windows, maxQueue } = this.#deps;
    const { model } = to.slot;
    if (this.#queued(model) >= maxQueue) {
      windows.dropped(to);
      throw new MusterError("runner/overloaded", `${maxQueue} inputs wait for ${model} already; try again later`);
    }
    try {
      return await to.admit(work);
    } catch (error) {
      // A picture that cannot be read is the fault of who sent it, and must not speak against the version.
      if (/^(?:engine|internal|tensor)/.test(asMusterError(error).code)) windows.failed(to);
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
    for (const { label, features } of rows) this.#deps.windows.answered(to, { label, features, stages });
    return stages.total;
  }

  #queued(model: string): number {
    return this.#deps.slots.versions(model).reduce((sum, { queued }) => sum + queued, 0);
  }
}
