import { asMusterError, type Log, MusterError } from "@muster/shared";
import type { NodePlacement } from "@muster/shared/inference";
import { Buffers } from "./buffers.js";
import type { EngineSpec } from "./engine.js";
import type { EngineJob, EngineOutcome } from "./engine-protocol.js";
import { EngineThread } from "./engine-thread.js";

export interface EnginePoolOptions {
  readonly spec: EngineSpec;
  /** How many threads, each with a session of its own. */
  readonly size: number;
  readonly log: Log;
  /** Gets the memory of jobs back. */
  readonly buffers?: Buffers;
  /** Called whenever a thread may have become free, or none is left to become so. */
  readonly onFree?: () => void;
  /** The script of a thread. */
  readonly script?: URL;
}

interface Waiting {
  readonly jobs: readonly EngineJob[];
  readonly resolve: (outcomes: readonly EngineOutcome[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A version that ends more threads than this within the span is broken; it fails instead of burning the processor. */
const maxReplaced = 5;
const replacedWithinMs = 600_000;

/** The engine threads of one version; jobs wait in one line for the next free thread. */
export class EnginePool {
  readonly #options: EnginePoolOptions;
  readonly #idle: EngineThread[] = [];
  readonly #threads = new Set<EngineThread>();
  readonly #waiting: Waiting[] = [];
  #replacedMs: number[] = [];
  #starting = 0;
  #closing = false;

  private constructor(options: EnginePoolOptions) {
    this.#options = options;
  }

  /** Resolves when every thread is loaded and warm. Throws `engine/failed`; then no thread is left. */
  static async open(options: EnginePoolOptions): Promise<EnginePool> {
    const pool = new EnginePool(options);
    const started = await Promise.allSettled(Array.from({ length: options.size }, () => pool.#start()));
    const failed = started.find((result) => result.status === "rejected");
    if (failed === undefined) return pool;
    await pool.close();
    throw asMusterError(failed.reason);
  }

  /** Where the nodes of the model really run; undefined on the processor. */
  get placement(): NodePlacement | undefined {
    return [...this.#threads][0]?.placement;
  }

  /** Batches that {@link run} would begin at once; one when no thread is left, so that its error is seen. */
  get free(): number {
    return this.#threads.size + this.#starting === 0 ? 1 : this.#idle.length;
  }

  /**
   * Runs jobs together on the next free thread; their bytes are handed over. Each job has an outcome, in order; throws
   * `engine/failed` when the thread ends.
   */
  run(jobs: readonly EngineJob[]): Promise<readonly EngineOutcome[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ jobs, resolve, reject });
      if (this.#threads.size === 0) this.#replace();
      this.#next();
    });
  }

  /** Ends all threads. Call it when no job waits any more. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#threads].map((thread) => thread.close()));
  }

  async #start(): Promise<void> {
    const { script = new URL("./engine-worker.js", import.meta.url), spec, buffers = new Buffers() } = this.#options;
    this.#starting += 1;
    try {
      const thread = await EngineThread.start(script, spec, buffers);
      this.#threads.add(thread);
      this.#idle.push(thread);
      void thread.gone.then((why) => this.#lost(thread, why));
      // Closed while it started: nobody else would end it.
      if (this.#closing) await thread.close();
    } finally {
      this.#starting -= 1;
    }
    this.#tell();
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idle.pop();
      if (thread === undefined) return;
      const waiting = this.#waiting.shift();
      if (waiting !== undefined) void this.#work(thread, waiting);
    }
  }

  /** Whoever feeds this pool looks again when a thread is free, or none is there any more. */
  #tell(): void {
    this.#next();
    if (this.free > 0) this.#options.onFree?.();
  }

  async #work(thread: EngineThread, { jobs, resolve, reject }: Waiting): Promise<void> {
    try {
      resolve(await thread.run(jobs));
    } catch (error) {
      reject(error);
    } finally {
      if (thread.alive) this.#idle.push(thread);
      this.#tell();
    }
  }

  #lost(thread: EngineThread, why: MusterError): void {
    this.#threads.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#closing) return;
    this.#options.log.warn("runner.engine.lost", { error: why });
    this.#replace();
  }

  #replace(): void {
    if (this.#closing || this.#threads.size + this.#starting >= this.#options.size) return;
    const sinceMs = Date.now() - replacedWithinMs;
    this.#replacedMs = this.#replacedMs.filter((atMs) => atMs > sinceMs);
    if (this.#replacedMs.length >= maxReplaced) {
      if (this.#threads.size + this.#starting === 0) this.#giveUp();
      return;
    }
    this.#replacedMs.push(Date.now());
    this.#start().catch((error) => {
      this.#options.log.warn("runner.engine.not-replaced", { error });
      this.#replace();
    });
  }

  #giveUp(): void {
    const error = new MusterError(
      "engine/failed",
      `this version ended ${maxReplaced + 1} engine threads within ${replacedWithinMs / 60_000} min and is left alone`,
    );
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#tell();
  }
}
