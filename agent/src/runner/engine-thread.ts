import { Worker } from "node:worker_threads";
import { MusterError } from "@muster/shared";
import type { EngineSpec } from "./engine.js";
import { bytesOfJob, type EngineJob, type EngineResult, type FromEngine, type ToEngine } from "./engine-protocol.js";
import { fromWire } from "./wire-error.js";

/** No input takes so long on purpose; a thread that needs more is stuck. */
const runLimitMs = 60_000;
const closeLimitMs = 5000;

interface Pending {
  readonly resolve: (result: EngineResult) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** One engine in a worker thread; it takes one job at a time. */
export class EngineThread {
  readonly #worker: Worker;
  /** Resolves when the thread is gone, with how it ended. */
  readonly gone: Promise<MusterError>;
  #alive = true;
  #pending: Pending | undefined;
  #lose: (why: MusterError) => void = () => undefined;

  private constructor(script: URL, spec: EngineSpec) {
    this.#worker = new Worker(script, { workerData: spec });
    let fault: unknown;
    this.#worker.on("error", (error) => {
      fault = error;
    });
    this.gone = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#worker.once("exit", (code) => {
      const why = fault instanceof Error ? fault.message : `exit code ${code}`;
      this.#end(new MusterError("engine/failed", `the engine thread ended: ${why}`, { cause: fault }));
    });
  }

  /** False once it takes no more jobs. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Starts a thread and waits until its model is loaded and warm. Throws `engine/failed`. */
  static async start(script: URL, spec: EngineSpec): Promise<EngineThread> {
    const thread = new EngineThread(script, spec);
    await new Promise<void>((resolve, reject) => {
      thread.#worker.once("message", (message: FromEngine) => {
        if (message.kind === "fatal") reject(fromWire(message.error));
        else resolve();
      });
      void thread.gone.then(reject);
    });
    thread.#worker.on("message", (message: FromEngine) => thread.#answered(message));
    return thread;
  }

  /** Runs one job; its bytes are handed over. Throws what the engine throws, or `engine/failed` when the thread ends. */
  run(job: EngineJob): Promise<EngineResult> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#stuck(), runLimitMs);
      this.#pending = { resolve, reject, timer };
      this.#send({ job }, bytesOfJob(job));
    });
  }

  /** Releases the session and ends the thread; one that does not end is cut off. */
  async close(): Promise<void> {
    this.#send("close", []);
    const timer = setTimeout(() => void this.#worker.terminate(), closeLimitMs);
    await this.gone;
    clearTimeout(timer);
  }

  #send(message: ToEngine, transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer);
  }

  #answered(message: FromEngine): void {
    const pending = this.#settle();
    if (message.kind === "answer") pending?.resolve(message.result);
    else if (message.kind === "error") pending?.reject(fromWire(message.error));
  }

  #stuck(): void {
    // It may be deep inside native code, where a thread cannot be stopped; it counts as gone all the same.
    this.#end(new MusterError("engine/failed", `the model gave no answer within ${runLimitMs / 1000} s`));
    void this.#worker.terminate();
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
