import { Worker } from "node:worker_threads";
import { MusterError } from "@muster/shared";
import type { NodePlacement } from "@muster/shared/inference";
import type { Buffers } from "./buffers.js";
import type { EngineSpec } from "./engine.js";
import { bytesOfJob, type EngineJob, type EngineOutcome, type FromEngine, type ToEngine } from "./engine-protocol.js";
import { quiet, type SpareThreads } from "./spare-threads.js";
import { fromWire } from "./wire-error.js";
import { noMark, type WorkMark } from "./work-marks.js";

/** How an engine thread is watched. */
export interface ThreadWatch {
  /** Where it says what it works on. */
  readonly mark?: WorkMark & { release(): void };
  /** No input takes so long on purpose; a thread that needs more is stuck. */
  readonly runLimitMs?: number;
  /** It is stuck in native code, where no thread can be ended: only the end of the process helps. */
  readonly onHang?: () => void;
  /** Where threads come from and go to. */
  readonly spares?: SpareThreads;
}

const defaultRunLimitMs = 60_000;
const closeLimitMs = 5000;
/** JavaScript can be ended at any line, so what has not ended after this is native code. */
const nativeAfterMs = 2000;

interface Pending {
  readonly resolve: (outcomes: readonly EngineOutcome[]) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** One engine in a worker thread; it takes one job at a time. */
export class EngineThread {
  readonly #worker: Worker;
  readonly #watch: ThreadWatch;
  readonly #mark: WorkMark;
  /** Resolves when the thread is gone, with how it ended. */
  readonly gone: Promise<MusterError>;
  /** Where the nodes of the first run really ran; undefined on the processor. */
  placement: NodePlacement | undefined;
  /** What the provider took of this process by itself when the thread's model was loaded. */
  providerBytes = 0;
  #alive = true;
  #pending: Pending | undefined;
  #lose: (why: MusterError) => void = () => undefined;
  readonly #buffers: Buffers;

  private constructor(script: URL, buffers: Buffers, watch: ThreadWatch) {
    this.#buffers = buffers;
    this.#watch = watch;
    this.#mark = watch.mark ?? noMark;
    this.#worker = watch.spares?.take() ?? new Worker(script);
    let fault: unknown;
    this.#worker.on("error", (error) => {
      fault = error;
    });
    this.gone = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#worker.once("exit", (code) => {
      this.#mark.end();
      watch.mark?.release();
      const why = fault instanceof Error ? fault.message : `exit code ${code}`;
      this.#end(new MusterError("engine/failed", `the engine thread ended: ${why}`, { cause: fault }));
    });
  }

  /** False once it takes no more jobs. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Starts a thread and waits until its model is loaded and warm; `buffers` gets memory back. Throws `engine/failed`. */
  static async start(script: URL, spec: EngineSpec, buffers: Buffers, watch: ThreadWatch = {}): Promise<EngineThread> {
    const thread = new EngineThread(script, buffers, watch);
    // Loading runs native code, too.
    thread.#mark.begin();
    await new Promise<void>((resolve, reject) => {
      thread.#worker.once("message", (message: FromEngine) => {
        thread.#mark.end();
        if (message.kind === "fatal") {
          thread.#send("close", []);
          return reject(fromWire(message.error));
        }
        if (message.kind === "ready") {
          thread.placement = message.placement;
          thread.providerBytes = message.providerBytes;
        }
        resolve();
      });
      void thread.gone.then(reject);
      thread.#send({ spec }, []);
    });
    thread.#worker.on("message", (message: FromEngine) => thread.#answered(message));
    return thread;
  }

  /** Runs a batch; its bytes are handed over. Each job has an outcome; throws `engine/failed` when the thread ends. */
  run(jobs: readonly EngineJob[]): Promise<readonly EngineOutcome[]> {
    return new Promise((resolve, reject) => {
      const { runLimitMs = defaultRunLimitMs } = this.#watch;
      const timer = setTimeout(() => void this.#stuck(runLimitMs), runLimitMs);
      this.#pending = { resolve, reject, timer };
      this.#mark.begin();
      this.#send({ jobs }, jobs.flatMap(bytesOfJob));
    });
  }

  /** Releases the session; the thread is kept for another model, or ends. One that does not is cut off. */
  async close(): Promise<void> {
    this.#send(this.#watch.spares === undefined ? "close" : "release", []);
    const timer = setTimeout(() => void this.#worker.terminate(), closeLimitMs);
    await this.gone;
    clearTimeout(timer);
  }

  #send(message: ToEngine, transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer);
  }

  #answered(message: FromEngine): void {
    this.#mark.end();
    if (message.kind === "released") this.#part();
    if (message.kind !== "outcomes") return;
    for (const buffer of message.spent) this.#buffers.give(buffer);
    this.#settle()?.resolve(message.outcomes);
  }

  /** The thread is none of this engine's any more. */
  #part(): void {
    quiet(this.#worker);
    this.#watch.mark?.release();
    this.#end(new MusterError("engine/failed", "the engine was closed"));
    this.#watch.spares?.put(this.#worker);
  }

  /** It counts as gone at once; its mark stays until it really is. */
  async #stuck(runLimitMs: number): Promise<void> {
    this.#end(new MusterError("engine/failed", `the model gave no answer within ${runLimitMs / 1000} s`));
    const timer = setTimeout(() => this.#watch.onHang?.(), nativeAfterMs);
    await this.#worker.terminate();
    clearTimeout(timer);
  }

  #end(why: MusterError): void {
    this.#alive = false;
    this.#settle()?.reject(why);
    this.#lose(why);
  }

  /** The pending job, which the caller now has to settle. */
  #settle(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    clearTimeout(pending?.timer);
    return pending;
  }
}
