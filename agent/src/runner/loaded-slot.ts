import { availableParallelism } from "node:os";
import { asMusterError, type Log, MusterError, messageOf } from "@muster/shared";
import { actualProvider, type Pipeline, pipelineOf } from "@muster/shared/inference";
import { batchRuleOf } from "../core/batch-rule.js";
import type { BatchRule } from "../core/line.js";
import type { Buffers } from "./buffers.js";
import { EnginePool } from "./engine-pool.js";
import type { EngineResult } from "./engine-protocol.js";
import { Lane } from "./lane.js";
import { decryptionOf, verifyModelFile } from "./model-file.js";
import { KnownRequests } from "./oip/known-requests.js";
import type { RunnerStatus, Slot } from "./protocol.js";
import type { SpareThreads } from "./spare-threads.js";
import type { Ticket } from "./ticket.js";
import type { WorkMarks } from "./work-marks.js";

export interface SlotOptions {
  /** Engine threads per version, at most. */
  readonly workers: number;
  /** Engine threads of all models together, at most; every model has one. */
  readonly maxWorkers: number;
  /** When inputs share a run, where the model's batch dimension is free. */
  readonly batch: BatchRule;
  /** What a version may ask for instead. */
  readonly batchLimit: BatchRule;
  /** MB that this process may take; 0 for the budgets of the versions in it. */
  readonly memoryMb: number;
  /** How long an engine may work on one input. */
  readonly runLimitMs: number;
  readonly marks: WorkMarks;
  readonly spares: SpareThreads;
  /** An engine call of this version does not return. */
  readonly onHang: (slot: Slot) => void;
  /** Where the memory of tensors comes from and goes to. */
  readonly buffers: Buffers;
  readonly log: Log;
}

/** Where a version was to run, where it runs, and why that is not the same. */
export type Running = RunnerStatus["models"][number]["running"];

/** To decode so many bytes takes a millisecond or two. */
const smallBodyBytes = 64_000;
/** The provider that is always there. */
const everywhere = "cpu";

/** A version in memory, with its engine threads and the inputs it has to answer. */
export class LoadedSlot {
  readonly slot: Slot;
  readonly running: Running;
  /** Decodes inputs on this thread; everything after that is the engine threads' work. */
  readonly pipeline: Pipeline;
  /** The way of inputs to the engines, for work that was admitted. */
  readonly lane: Lane;
  /** What its clients ask again and again. */
  readonly requests: KnownRequests;
  readonly #pool: EnginePool;
  readonly #mayGrow: () => boolean;
  /** Whoever waits until no input is left. */
  readonly #drained: (() => void)[] = [];
  #admitted = 0;
  #released = false;

  private constructor(
    slot: Slot,
    running: Running,
    { pool, lane, mayGrow }: { pool: EnginePool; lane: Lane; mayGrow: () => boolean },
  ) {
    this.#mayGrow = mayGrow;
    this.slot = slot;
    this.running = running;
    this.pipeline = pipelineOf(slot.manifest);
    this.lane = lane;
    this.requests = new KnownRequests(slot.manifest);
    this.#pool = pool;
  }

  /**
   * Verifies the model file, loads it in so many threads and warms it up; more threads come when inputs wait and
   * `mayGrow` agrees. What does not load on its provider any more, after an update of a driver for example, is loaded on
   * the processor: slow answers are better than none, and {@link running} says so. With `aside` the loading goes behind all else that this process does.
   * Throws `artifact/…`, `engine/failed`.
   */
  static async load(
    slot: Slot,
    options: SlotOptions,
    { atFirst, aside, mayGrow }: { readonly atFirst: number; readonly aside: boolean; readonly mayGrow: () => boolean },
  ): Promise<LoadedSlot> {
    const { workers, batch, batchLimit, buffers, log, marks, spares, runLimitMs, onHang } = options;
    await verifyModelFile(slot.modelPath, slot.artifact);
    const { modelPath, provider, threads, cacheDir } = slot;
    const decryption = decryptionOf(slot.manifest, slot.artifact, slot.key);
    const spec = { modelPath, decryption, provider, threads, cacheDir, manifest: slot.manifest };
    const watch = () => ({ mark: marks.of(slot.manifestDigest), runLimitMs, spares, onHang: () => onHang(slot) });
    let lane: Lane | undefined;
    // In a task of its own, because a version that is given up frees one input after the other.
    const onFree = () => queueMicrotask(() => lane?.look());
    const pools = { size: workers, atFirst, aside, watch, buffers };
    const open = (on: string) => EnginePool.open({ spec: { ...spec, provider: on }, ...pools, log, onFree });
    const { pool, running } = await openOrFallBack(slot, open, log);
    const { batching } = slot.manifest;
    const rule = batchRuleOf(batching, batch, batchLimit);
    if (batching !== undefined && (rule.maxRows < batching.maxRows || rule.maxDelayMs < batching.maxDelayMs)) {
      const { model, version } = slot;
      log.warn("runner.version.batching-cut", { model, version, wished: batching, given: rule });
    }
    const decodedAhead = availableParallelism() + workers * rule.maxRows;
    lane = new Lane({ pool, tensors: slot.manifest.tensors, rule, decodedAhead });
    return new LoadedSlot(slot, running, { pool, lane, mayGrow });
  }

  /** Inputs that were admitted and that no thread works on yet. */
  get queued(): number {
    return Math.max(0, this.#admitted - this.lane.running);
  }

  /** What the provider took of this process by itself when the slot was loaded. */
  get providerBytes(): number {
    return this.#pool.providerBytes;
  }

  /** Engine threads now. */
  get threads(): number {
    return this.#pool.threads;
  }

  /** Does the work for one input; the slot is not released before the work has ended. Throws `runner/not-serving` after that. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#released) {
      const { model, version } = this.slot;
      throw new MusterError("runner/not-serving", `version ${version} of ${model} has just been replaced; try again`);
    }
    this.#admitted += 1;
    if (this.#admitted > this.#pool.threads && this.#mayGrow()) this.#pool.grow();
    try {
      return await work();
    } finally {
      this.#admitted -= 1;
      if (this.#admitted === 0) for (const wake of this.#drained.splice(0)) wake();
    }
  }

  /**
   * Decodes a body and answers it, as work that was admitted. A large one that keeps the thread busy which decodes it goes to an
   * engine thread as it is, so that it costs nobody else's answer. Throws like {@link Lane.body}.
   */
  async answer(
    bytes: Uint8Array,
    contentType: string,
    ticket: Ticket,
  ): Promise<{ result: EngineResult; list: boolean; decodedMs: number }> {
    if (!this.pipeline.decodesInPlace || bytes.length <= smallBodyBytes)
      return this.lane.body(() => this.pipeline.decode(bytes, contentType), ticket);
    const decodedMs = performance.now();
    const result = await this.lane.undecoded(bytes, contentType, ticket);
    return { result, list: result.list === true, decodedMs };
  }

  /** Answers what was admitted, then frees everything; nothing more is admitted. */
  async release(): Promise<void> {
    this.#released = true;
    if (this.#admitted > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await this.#pool.close();
  }
}

/** The engines on the provider of the slot, or on the processor when they do not load there. */
async function openOrFallBack(
  { model, version, provider }: Slot,
  open: (provider: string) => Promise<EnginePool>,
  log: Log,
): Promise<{ pool: EnginePool; running: Running }> {
  try {
    const pool = await open(provider);
    const actual = actualProvider(provider, pool.placement ?? {});
    const reason = `${provider} starts, but what it is given runs on ${actual}`;
    return { pool, running: { requested: provider, actual, ...(actual === provider ? {} : { reason }) } };
  } catch (error) {
    if (provider === everywhere || asMusterError(error).code !== "engine/failed") throw error;
    const reason = messageOf(error);
    log.warn("runner.provider.fallback", { model, version, provider, reason });
    return { pool: await open(everywhere), running: { requested: provider, actual: everywhere, reason } };
  }
}
