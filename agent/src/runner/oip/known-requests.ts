import type { Manifest } from "@muster/shared";
import { checkInferRequest, type InferRequest } from "./infer-request.js";

/** So many requests are known, each with so many bytes of JSON at most. */
const maxKnown = 16;
const maxBytes = 4096;

/**
 * Requests with binary tensors whose JSON was read before. A client sends the same words with each tensor, and to read and
 * check them anew takes a tenth of a small model's time.
 */
export class KnownRequests {
  readonly #model: Pick<Manifest, "tensors">;
  readonly #known = new Map<string, InferRequest>();

  constructor(model: Pick<Manifest, "tensors">) {
    this.#model = model;
  }

  /** How many are known. */
  get size(): number {
    return this.#known.size;
  }

  /** The request that these bytes are; `parse` reads them as JSON. Throws what it throws, `request/invalid`, `tensor/invalid`. */
  checked(bytes: Buffer, parse: (bytes: Buffer) => unknown): InferRequest {
    const words = bytes.length > maxBytes ? undefined : bytes.toString("latin1");
    const known = words === undefined ? undefined : this.#known.get(words);
    if (known !== undefined) return known;
    const request = checkInferRequest(parse(bytes), this.#model);
    // One with an id or with numbers in it does not come again.
    const comesAgain = request.id === undefined && request.inputs.every(({ data }) => data === undefined);
    if (words !== undefined && comesAgain) this.#keep(words, request);
    return request;
  }

  #keep(words: string, request: InferRequest): void {
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.set(words, request);
  }
}
