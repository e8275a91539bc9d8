import type { Worker } from "node:worker_threads";

/** So long a thread waits for another model. */
const keptMs = 60_000;

/**
 * Engine threads whose model was released. To start a thread and load its modules takes longer than to load a small model, and
 * the processor time of it would be missing from whatever serves meanwhile.
 */
export class SpareThreads {
  readonly #max: number;
  readonly #spare = new Map<Worker, NodeJS.Timeout>();
  #closed = false;

  /** Keeps at most so many. */
  constructor(max: number) {
    this.#max = max;
  }

  take(): Worker | undefined {
    const [worker] = this.#spare.keys();
    if (worker !== undefined) this.#forget(worker);
    return worker;
  }

  /** Keeps a thread without a model, or ends it when there are enough. */
  put(worker: Worker): void {
    if (this.#closed || this.#spare.size >= this.#max) {
      worker.postMessage("close");
      return;
    }
    const timer = setTimeout(() => this.#drop(worker), keptMs).unref();
    this.#spare.set(worker, timer);
    worker.once("exit", () => this.#forget(worker));
    // One that dies idle is no loss; without a listener it would end the process.
    worker.once("error", () => this.#forget(worker));
  }

  close(): void {
    this.#closed = true;
    for (const worker of [...this.#spare.keys()]) this.#drop(worker);
  }

  #drop(worker: Worker): void {
    this.#forget(worker);
    worker.postMessage("close");
  }

  #forget(worker: Worker): void {
    clearTimeout(this.#spare.get(worker));
    this.#spare.delete(worker);
    quiet(worker);
  }
}

/** Removes what listens to a thread, event by event: Node listens to the listeners themselves, and must go on. */
export function quiet(worker: Worker): void {
  for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
}
