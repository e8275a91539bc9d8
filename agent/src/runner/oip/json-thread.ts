import { Worker } from "node:worker_threads";
import { type Manifest, MusterError } from "@muster/shared";
import { bytesOfTensors, type NamedTensor } from "@muster/shared/inference";
import type { Ticket } from "../ticket.js";
import { fromWire } from "../wire-error.js";
import type { TensorRequest } from "./infer-request.js";
import { inferResponse } from "./infer-response.js";
import type { Answering, FromJson, ToJson } from "./json-protocol.js";

/** Less is read or written at once: it takes less than a millisecond. */
const small = { bytes: 64_000, numbers: 8_000 };
/** The thread ends when there was nothing to do for so long. */
const unusedMs = 60_000;

/** Work for the thread, and who waits for it. */
interface Job {
  /** Made when its turn comes, and what of it is handed over: what waits takes no memory of its own. */
  readonly make: () => { readonly message: ToJson; readonly memory: ArrayBuffer[] };
  readonly resolve: (message: FromJson) => void;
  readonly reject: (error: unknown) => void;
  /** Called when its turn comes. */
  readonly begin: () => void;
}

/**
 * Large JSON of the protocol, read and written by a thread of its own: ten megabytes of numbers would keep the thread that
 * serves from answering anybody for a tenth of a second. One after the other; what nobody waits for any more is not begun. The
 * thread is there only while it is needed.
 */
export class JsonThread {
  #worker: Worker | undefined;
  #unused: NodeJS.Timeout | undefined;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;

  /** Whether reading so many bytes is worth the way to another thread and back. */
  static takes(bytes: number): boolean {
    return bytes > small.bytes;
  }

  /**
   * The request that a body is; with `orPlain`, undefined when it is JSON but none of the protocol. The bytes are copied. Throws
   * `request/invalid`, `tensor/invalid`, and the ticket's end when that comes before its turn.
   */
  async read(
    body: Uint8Array,
    { tensors }: Pick<Manifest, "tensors">,
    orPlain: boolean,
    ticket: Ticket,
  ): Promise<TensorRequest | undefined> {
    const done = await this.#ask(ticket, () => {
      const bytes = new Uint8Array(body);
      return { message: { kind: "read", bytes, tensors, orPlain }, memory: [bytes.buffer] };
    });
    if (done.kind !== "read") throw new MusterError("internal", "a request was not read");
    return done.request === "plain" ? undefined : done.request;
  }

  /** The answer to a request, as {@link inferResponse} writes it. The tensors' memory is handed over. Throws the ticket's end. */
  async write(
    of: Answering,
    { id, outputs }: Pick<TensorRequest, "id" | "outputs">,
    tensors: readonly NamedTensor[],
    ticket: Ticket,
  ): Promise<{ readonly json: string | Uint8Array; readonly binary: readonly Uint8Array[] }> {
    const request = { id, outputs };
    if (numbersAsText(request, tensors) <= small.numbers) return inferResponse(of, request, tensors);
    const done = await this.#ask(ticket, () => {
      return { message: { kind: "write", of, request, tensors }, memory: bytesOfTensors(tensors) };
    });
    if (done.kind !== "written") throw new MusterError("internal", "an answer was not written");
    return done;
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    clearTimeout(this.#unused);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(ticket: Ticket, make: Job["make"]): Promise<FromJson> {
    if (ticket.why !== undefined) throw ticket.why;
    const message = await new Promise<FromJson>((resolve, reject) => {
      const job: Job = { make, resolve, reject, begin: () => forget() };
      const forget = ticket.onEnd((why) => {
        this.#waiting.splice(this.#waiting.indexOf(job), 1);
        reject(why);
      });
      this.#waiting.push(job);
      this.#next();
    });
    if (message.kind === "failed") throw fromWire(message.error);
    return message;
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#waiting.shift();
    clearTimeout(this.#unused);
    if (job === undefined) {
      this.#unused = setTimeout(() => void this.close(), unusedMs).unref();
      return;
    }
    job.begin();
    this.#running = job;
    try {
      this.#worker ??= this.#start();
      const { message, memory } = job.make();
      this.#worker.postMessage(message, memory);
    } catch (error) {
      this.#end((failed) => failed.reject(error));
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL("./json-worker.js", import.meta.url));
    let why = "it was stopped";
    worker.on("message", (message: FromJson) => this.#end((job) => job.resolve(message)));
    worker.on("error", (error) => {
      why = error.message;
    });
    worker.once("exit", () => {
      if (this.#worker !== undefined && this.#worker !== worker) return;
      this.#worker = undefined;
      const error = new MusterError("internal", `the thread that reads JSON ended: ${why}; send binary tensors`);
      if (this.#running !== undefined) this.#end((job) => job.reject(error));
    });
    return worker;
  }

  #end(settle: (job: Job) => void): void {
    const job = this.#running;
    this.#running = undefined;
    if (job !== undefined) settle(job);
    this.#next();
  }
}

/** How many numbers of an answer become text. */
function numbersAsText({ outputs }: Pick<TensorRequest, "outputs">, tensors: readonly NamedTensor[]): number {
  return outputs
    .filter(({ binary }) => !binary)
    .reduce((sum, { name }) => sum + (tensors.find((tensor) => tensor.name === name)?.data.length ?? 0), 0);
}
