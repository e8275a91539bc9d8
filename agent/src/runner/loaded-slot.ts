import { asMusterError, type Log, MusterError, messageOf } from "@muster/shared";
import { actualProvider, type Pipeline, pipelineOf } from "@muster/shared/inference";
import { EnginePool } from "./engine-pool.js";
import type { EngineJob, EngineResult } from "./engine-protocol.js";
import { decryptionOf, verifyModelFile } from "./model-file.js";
import type { RunnerStatus, Slot } from "./protocol.js";

export interface SlotOptions {
  /** Engine threads per version. */
  readonly workers: number;
  readonly log: Log;
}

/** Where a version was to run, where it runs, and why that is not the same. */
export type Running = RunnerStatus["models"][number]["running"];

/** The provider that is always there. */
const everywhere = "cpu";

/** A version in memory, with its engine threads and the inputs it has to answer. */
export class LoadedSlot {
  readonly slot: Slot;
  readonly running: Running;
  /** Decodes inputs on this thread; everything after that is the engine threads' work. */
  readonly pipeline: Pipeline;
  readonly #pool: EnginePool;
  /** Whoever waits until no input is left. */
  readonly #drained: (() => void)[] = [];
  #admitted = 0;

  private constructor(slot: Slot, running: Running, pool: EnginePool) {
    this.slot = slot;
    this.running = running;
    this.pipeline = pipelineOf(slot.manifest);
    this.#pool = pool;
  }

  /**
   * Verifies the model file, loads it in every thread and warms it up. What does not load on its provider any more, after
   * an update of a driver for example, is loaded on the processor: slow answers are better than none, and
   * {@link running} says so. Throws `artifact/…`, `engine/failed`.
   */
  static async load(slot: Slot, { workers, log }: SlotOptions): Promise<LoadedSlot> {
    await verifyModelFile(slot.modelPath, slot.artifact);
    const { modelPath, provider, threads, cacheDir } = slot;
    const decryption = decryptionOf(slot.manifest, slot.artifact, slot.key);
    const spec = { modelPath, decryption, provider, threads, cacheDir, manifest: slot.manifest };
    const open = (on: string) => EnginePool.open({ spec: { ...spec, provider: on }, size: workers, log });
    try {
      const pool = await open(provider);
      const actual = actualProvider(provider, pool.placement ?? {});
      const reason = `${provider} starts, but what it is given runs on ${actual}`;
      return new LoadedSlot(slot, { requested: provider, actual, ...(actual === provider ? {} : { reason }) }, pool);
    } catch (error) {
      if (provider === everywhere || asMusterError(error).code !== "engine/failed") throw error;
      const reason = messageOf(error);
      log.warn("runner.provider.fallback", { model: slot.model, version: slot.version, provider, reason });
      return new LoadedSlot(slot, { requested: provider, actual: everywhere, reason }, await open(everywhere));
    }
  }

  /** Inputs that were admitted and that no thread works on yet. */
  get queued(): number {
    return Math.max(0, this.#admitted - this.#pool.running);
  }

  /** Does the work for one input; the slot is not released before the work has ended. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    this.#admitted += 1;
    try {
      return await work();
    } finally {
      this.#admitted -= 1;
      if (this.#admitted === 0) for (const wake of this.#drained.splice(0)) wake();
    }
  }

  /** Runs a job on the next free thread, for work that was admitted. Throws `engine/failed`, `tensor/invalid`. */
  async run(job: EngineJob): Promise<EngineResult> {
    if (this.#admitted === 0) throw new MusterError("internal", "a job was run without being admitted");
    return this.#pool.run(job);
  }

  /** Answers what was admitted, then frees everything. Nothing may be admitted after it is called. */
  async release(): Promise<void> {
    if (this.#admitted > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    await this.#pool.close();
  }
}
