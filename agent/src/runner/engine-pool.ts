import { asMusterError, type Log, MusterError } from "@muster/shared";
import type { NodePlacement } from "@muster/shared/inference";
import { Buffers } from "./buffers.js";
import type { EngineSpec } from "./engine.js";
import type { EngineJob, EngineOutcome } from "./engine-protocol.js";
import { EngineThread, type ThreadWatch } from "./engine-thread.js";

export interface EnginePoolOptions {
  readonly spec: Omit<EngineSpec, "aside">;
  /** Something serves meanwhile: the threads to begin with load behind it. Those that come later are waited for. */
  readonly aside?: boolean;
  /** How many threads at most, each with a session of its own. */
  readonly size: number;
  /** How many to begin with; the others come when they are asked for. */
  readonly atFirst?: number;
  readonly log: Log;
  /** How long a thread may be of no use before it is given back. */
  readonly unusedMs?: number;
  /** How each new thread is watched. */
  readonly watch?: () => ThreadWatch;
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
/** A thread more than were ever busy together for so long is given back. */
const unusedMs = 60_000;

/** The engine threads of one version; jobs wait in one line for the next free thread. */
export class EnginePool {
  readonly #options: EnginePoolOptions;
  readonly #idle: EngineThread[] = [];
  readonly #threads = new Set<EngineThread>();
  readonly #waiting: Waiting[] = [];
  #replacedMs: number[] = [];
  /** How many threads there are to be. */
  #wanted: number;
  /** Most threads that were busy together since the last look. */
  #peak = 0;
  #look: NodeJS.Timeout | undefined;
  /** One more thread could not be added. */
  #full = false;
  #starting = 0;
  #closing = false;

  private constructor(options: EnginePoolOptions) {
    this.#options = options;
    this.#wanted = Math.min(options.size, Math.max(1, options.atFirst ?? options.size));
  }

  /** Resolves when every thread is loaded and warm. Throws `engine/failed`; then no thread is left. */
  static async open(options: EnginePoolOptions): Promise<EnginePool> {
    const pool = new EnginePool(options);
    try {
      // One after the other, so that what serves meanwhile is left the other cores.
      const { aside = false } = options;
      for (let started = 0; started < pool.#wanted; started += 1) await pool.#start(aside);
    } catch (error) {
      await pool.close();
      throw asMusterError(error);
    }
    pool.#lookLater();
    return pool;
  }

  /** Where the nodes of the model really run; undefined on the processor. */
  get placement(): NodePlacement | undefined {
    return [...this.#threads][0]?.placement;
  }

  /** What the provider took of this process by itself when this pool was opened. */
  get providerBytes(): number {
    return [...this.#threads].reduce((sum, thread) => sum + thread.providerBytes, 0);
  }

  /** Batches that {@link run} would begin at once; one when no thread is left, so that its error is seen. */
  get free(): number {
    return this.threads === 0 ? 1 : this.#idle.length;
  }

  /** Threads that are there or start. */
  get threads(): number {
    return this.#threads.size + this.#starting;
  }

  /** Starts one more thread in the background, if the pool may have it and none starts already. */
  grow(): void {
    if (this.#closing || this.#starting > 0 || this.#full || this.#wanted >= this.#options.size) return;
    if (this.#threads.size < this.#wanted) return;
    this.#wanted += 1;
    this.#start().catch((error) => {
      // Memory for one more is not there; to try it with every input would cost those that are there.
      this.#full = true;
      this.#wanted -= 1;
      this.#options.log.warn("runner.engine.not-added", { error });
    });
    this.#lookLater();
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
    clearTimeout(this.#look);
    await Promise.all([...this.#threads].map((thread) => thread.close()));
  }

  async #start(aside = false): Promise<void> {
    const { script = new URL("./engine-worker.js", import.meta.url), spec, watch } = this.#options;
    const { buffers = new Buffers() } = this.#options;
    this.#starting += 1;
    try {
      const thread = await EngineThread.start(script, { ...spec, aside }, buffers, watch?.());
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
    this.#peak = Math.max(this.#peak, this.#threads.size - this.#idle.length);
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
    // Not when it was given back.
    if (!this.#threads.delete(thread)) return;
    const at = this.#idle.indexOf(thread);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#closing) return;
    this.#options.log.warn("runner.engine.lost", { error: why });
    this.#replace();
  }

  #replace(): void {
    if (this.#closing || this.threads >= this.#wanted) return;
    const sinceMs = Date.now() - replacedWithinMs;
    this.#replacedMs = this.#replacedMs.filter((atMs) => atMs > sinceMs);
    if (this.#replacedMs.length >= maxReplaced) {
      if (this.threads === 0) this.#giveUp();
      return;
    }
    this.#replacedMs.push(Date.now());
    this.#start().catch((error) => {
      this.#options.log.warn("runner.engine.not-replaced", { error });
      this.#replace();
    });
  }

  /** Gives back a thread that was not needed, one at a time, so that a pool that only idles costs one session. */
  #lookLater(): void {
    clearTimeout(this.#look);
    if (this.#closing || this.#wanted <= 1) return;
    this.#look = setTimeout(() => {
      const idle = this.#peak < this.#threads.size ? this.#idle.shift() : undefined;
      this.#peak = this.#threads.size - this.#idle.length;
      if (idle !== undefined && this.#threads.size > 1) {
        this.#wanted -= 1;
        this.#threads.delete(idle);
        void idle.close();
      } else if (idle !== undefined) this.#idle.unshift(idle);
      this.#lookLater();
    }, this.#options.unusedMs ?? unusedMs).unref();
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
