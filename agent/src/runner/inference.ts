import { asMusterError, MusterError } from "@muster/shared";
import { type Answer, floatsOf, type NamedTensor } from "@muster/shared/inference";
import type { Priority } from "../core/line.js";
import { queueShare } from "../core/share.js";
import { type EngineResult, scoresName } from "./engine-protocol.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { Shadows } from "./shadow.js";
import type { Slots } from "./slots.js";
import { Ticket } from "./ticket.js";
import type { Windows } from "./windows.js";

export interface InferenceDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  readonly shadows: Shadows;
  /** Inputs that may wait per model. */
  readonly maxQueue: number;
  /** Inputs that may wait for all models, each having an equal share. */
  readonly maxQueued: number;
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

  /** Whether an input for the model would be taken now, has to wait, or nothing serves it. */
  state(model: string): "open" | "full" | "not-serving" {
    const { slots } = this.#deps;
    if (!slots.names().includes(model)) return "not-serving";
    return this.#isFull(model) ? "full" : "open";
  }

  /**
   * Decodes a body as the model's pipeline says and answers it. Throws `image/…`, `input/…`, `engine/failed`,
   * `runner/overloaded` when the model's queue is full, and the ticket's end when that comes first.
   */
  async input(
    to: LoadedSlot,
    bytes: Uint8Array,
    contentType = "",
    ticket: Ticket = new Ticket(),
  ): Promise<InputAnswers> {
    const startMs = performance.now();
    const { model, version } = to.slot;
    return this.#admitted(to, ticket, async () => {
      const compare = this.#deps.shadows.take(to, bytes, contentType);
      let answers: readonly Answer[] | undefined;
      try {
        const { result, list, decodedMs } = await to.answer(bytes, contentType, ticket);
        const latencyMs = this.#fold(to, result, startMs, decodedMs);
        answers = result.answers ?? [];
        return { model, version, answers, list, latencyMs };
      } finally {
        compare?.(answers);
      }
    });
  }

  /** Runs tensors and returns the outputs of these names, or all. The bytes are handed over. Throws like {@link input}. */
  async tensors(
    to: LoadedSlot,
    inputs: readonly NamedTensor[],
    outputs?: readonly string[],
    ticket: Ticket = new Ticket(),
  ): Promise<readonly NamedTensor[]> {
    const startMs = performance.now();
    return this.#admitted(to, ticket, async () => {
      const job = { kind: "tensors", inputs, ...(outputs === undefined ? {} : { outputs }) } as const;
      const result = await to.lane.run(job, ticket);
      this.#fold(to, result, startMs, startMs);
      return result.outputs ?? [];
    });
  }

  /**
   * Runs the whole frames of a piece of a stream; the bytes are handed over. Returns their scores, `[frames × labels]`, and
   * the states that the next piece begins with. Throws like {@link input}.
   */
  async frames(
    to: LoadedSlot,
    samples: Float32Array<ArrayBuffer>,
    states: readonly NamedTensor[],
  ): Promise<{ scores: Float32Array; states: readonly NamedTensor[] }> {
    const startMs = performance.now();
    const ticket = new Ticket();
    return this.#admitted(to, ticket, async () => {
      const result = await to.lane.run({ kind: "frames", samples, states }, ticket);
      this.#fold(to, result, startMs, startMs);
      const { outputs = [] } = result;
      return { scores: floatsOf(outputs, scoresName), states: outputs.filter(({ name }) => name !== scoresName) };
    });
  }

  /** Refuses what would not be taken now, so that its bytes need not be read. Throws `runner/overloaded`. */
  refuseWhenFull(to: LoadedSlot, priority: Priority): void {
    if (this.#isFull(to.slot.model) && to.lane.weakerThan(priority) === undefined) throw this.#full(to);
  }

  async #admitted<T>(to: LoadedSlot, ticket: Ticket, work: () => Promise<T>): Promise<T> {
    if (this.#isFull(to.slot.model)) {
      const weaker = to.lane.weakerThan(ticket.priority);
      if (weaker === undefined) throw this.#full(to);
      weaker.end(
        new MusterError("runner/overloaded", "more urgent inputs came while the queue was full; try again later"),
      );
    }
    // The place in the queue is kept until the work has truly ended, also when its client has gone away meanwhile.
    return ticket.first(to.admit(() => this.#counted(to, work)));
  }

  #isFull(model: string): boolean {
    return this.#queued(model) >= this.#limit();
  }

  /** Inputs that may wait for one model now. */
  #limit(): number {
    const { slots, maxQueue, maxQueued } = this.#deps;
    return queueShare(maxQueue, maxQueued, slots.names().length);
  }

  #full(to: LoadedSlot): MusterError {
    this.#deps.windows.dropped(to);
    const message = `${this.#limit()} inputs wait for ${to.slot.model} already; try again later`;
    return new MusterError("runner/overloaded", message);
  }

  async #counted<T>(to: LoadedSlot, work: () => Promise<T>): Promise<T> {
    const { windows } = this.#deps;
    try {
      return await work();
    } catch (error) {
      const { code } = asMusterError(error);
      // A picture that cannot be read is the fault of who sent it, and must not speak against the version.
      if (/^(?:engine|internal|tensor)/.test(code)) windows.failed(to);
      if (code === "runner/overloaded" || code === "runner/deadline") windows.dropped(to);
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
    // Counted once the answer is on its way, and before anything that comes from outside.
    setImmediate(() => {
      for (const { label, features } of rows) {
        this.#deps.windows.answered(to, { ...(label === undefined ? {} : { label }), features, stages });
      }
    });
    return stages.total;
  }

  #queued(model: string): number {
    return this.#deps.slots.versions(model).reduce((sum, { queued }) => sum + queued, 0);
  }
}
