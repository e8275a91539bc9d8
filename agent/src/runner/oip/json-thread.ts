import { Worker } from "node:worker_threads";
import { type Manifest, MusterError } from "@muster/shared";
import { bytesOfTensors, type NamedTensor } from "@muster/shared/inference";
import { fromWire } from "../wire-error.js";
import type { TensorRequest } from "./infer-request.js";
import { inferResponse } from "./infer-response.js";
import type { Answering, FromJson, ToJson } from "./json-protocol.js";

/** Less is read or written at once: it takes less than a millisecond. */
const small = { bytes: 64_000, numbers: 8_000 };
/** The thread ends when there was nothing to do for so long. */
const unusedMs = 60_000;

interface Pending {
  readonly resolve: (message: FromJson) => void;
  readonly reject: (error: MusterError) => void;
}
/** A running thread, and who waits for it by the number of the job. */
interface Running {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}
/** A job without its number. */
type Job<T> = T extends unknown ? Omit<T, "id"> : never;

/**
 * Large JSON of the protocol, read and written by a thread of its own: ten megabytes of numbers would keep the thread that
 * serves from answering anybody for a tenth of a second. The thread is there only while it is needed.
 */
export class JsonThread {
  #running: Running | undefined;
  #unused: NodeJS.Timeout | undefined;
  #last = 0;

  /** Whether reading so many bytes is worth the way to another thread and back. */
  static takes(bytes: number): boolean {
    return bytes > small.bytes;
  }

  /**
   * The request that a body is; with `orPlain`, undefined when it is JSON but none of the protocol. The bytes are copied. Throws
   * `request/invalid`, `tensor/invalid`.
   */
  async read(
    body: Uint8Array,
    { tensors }: Pick<Manifest, "tensors">,
    orPlain: boolean,
  ): Promise<TensorRequest | undefined> {
    const bytes = new Uint8Array(body);
    const done = await this.#ask({ kind: "read", bytes, tensors, orPlain }, [bytes.buffer]);
    if (done.kind !== "read") throw new MusterError("internal", "a request was not read");
    return done.request === "plain" ? undefined : done.request;
  }

  /** The answer to a request, as {@link inferResponse} writes it. The tensors' memory is handed over. */
  async write(
    of: Answering,
    { id, outputs }: Pick<TensorRequest, "id" | "outputs">,
    tensors: readonly NamedTensor[],
  ): Promise<{ readonly json: string | Uint8Array; readonly binary: readonly Uint8Array[] }> {
    const request = { id, outputs };
    if (numbersAsText(request, tensors) <= small.numbers) return inferResponse(of, request, tensors);
    const done = await this.#ask({ kind: "write", of, request, tensors }, bytesOfTensors(tensors));
    if (done.kind !== "written") throw new MusterError("internal", "an answer was not written");
    return done;
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    clearTimeout(this.#unused);
    const running = this.#running;
    this.#running = undefined;
    await running?.worker.terminate();
  }

  async #ask(job: Job<ToJson>, memory: ArrayBuffer[]): Promise<FromJson> {
    clearTimeout(this.#unused);
    this.#running ??= this.#start();
    const { worker, pending } = this.#running;
    this.#last += 1;
    const id = this.#last;
    const answer = new Promise<FromJson>((resolve, reject) => pending.set(id, { resolve, reject }));
    worker.postMessage({ ...job, id } satisfies ToJson, memory);
    const message = await answer;
    if (message.kind === "failed") throw fromWire(message.error);
    return message;
  }

  #start(): Running {
    const worker = new Worker(new URL("./json-worker.js", import.meta.url));
    const running = { worker, pending: new Map<number, Pending>() };
    let why = "it was stopped";
    worker.on("message", (message: FromJson) => {
      running.pending.get(message.id)?.resolve(message);
      running.pending.delete(message.id);
      if (running.pending.size === 0) this.#unused = setTimeout(() => void this.close(), unusedMs).unref();
    });
    worker.on("error", (error) => {
      why = error.message;
    });
    worker.once("exit", () => {
      if (this.#running === running) this.#running = undefined;
      const error = new MusterError("internal", `the thread that reads JSON ended: ${why}; send binary tensors`);
      for (const { reject } of running.pending.values()) reject(error);
    });
    return running;
  }
}

/** How many numbers of an answer become text. */
function numbersAsText({ outputs }: Pick<TensorRequest, "outputs">, tensors: readonly NamedTensor[]): number {
  return outputs
    .filter(({ binary }) => !binary)
    .reduce((sum, { name }) => sum + (tensors.find((tensor) => tensor.name === name)?.data.length ?? 0), 0);
}
