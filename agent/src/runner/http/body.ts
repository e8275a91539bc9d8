import type { IncomingMessage } from "node:http";
import { MusterError } from "@muster/shared";
import { usableBytes } from "../../core/share.js";
import type { Buffers } from "../buffers.js";
import type { BinaryTail } from "../oip/infer-request.js";

/** What bodies may cost at most. */
export interface BodyLimits {
  /** Of one request. */
  readonly maxBodyBytes: number;
  /** Of all requests that are read or worked on at a time. */
  readonly maxBodiesBytes: number;
}

/** Counts the bytes of all bodies in memory. */
export class BodyBudget {
  readonly limits: BodyLimits;
  readonly #held = new Map<string, number>();
  #usedBytes = 0;

  constructor(limits: BodyLimits) {
    this.limits = limits;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** For requests to a model, empty for others. Throws `runner/overloaded` when there is no room for so many more. */
  take(bytes: number, model: string): void {
    const { maxBodiesBytes, maxBodyBytes } = this.limits;
    const held = (this.#held.get(model) ?? 0) + bytes;
    if (this.#usedBytes + bytes > usableBytes(maxBodiesBytes, maxBodyBytes, held)) {
      throw new MusterError(
        "runner/overloaded",
        `the requests at work have ${maxBodiesBytes} bytes in all; try again later`,
      );
    }
    this.#usedBytes += bytes;
    this.#held.set(model, held);
  }

  give(bytes: number, model: string): void {
    this.#usedBytes -= bytes;
    const held = (this.#held.get(model) ?? 0) - bytes;
    if (held > 0) this.#held.set(model, held);
    else this.#held.delete(model);
  }
}

/** The bytes of a request, as they came from the network. */
export class Body {
  #parts: readonly Buffer[];
  readonly #buffers: Buffers;
  readonly length: number;

  constructor(parts: readonly Buffer[], buffers: Buffers) {
    this.#buffers = buffers;
    this.#parts = parts;
    this.length = parts.reduce((sum, { length }) => sum + length, 0);
  }

  /** All bytes, in one piece from then on; the pieces that came are let go of, so that a body is in memory once. */
  whole(): Buffer {
    const [first] = this.#parts;
    if (this.#parts.length === 1 && first !== undefined) return first;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [whole];
    return whole;
  }

  /** A copy of a part in memory of its own, which may be handed to another thread. */
  take(from: number, to: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#buffers.take(to - from));
    let start = 0;
    for (const part of this.#parts) {
      const [first, last] = [Math.max(from, start), Math.min(to, start + part.length)];
      if (first < last) bytes.set(part.subarray(first - start, last - start), first - from);
      start += part.length;
    }
    return bytes;
  }

  /** The first bytes. Throws `request/invalid` when the body is shorter. */
  head(length: number): Buffer {
    const [first] = this.#parts;
    if (first !== undefined && first.length >= length) return first.subarray(0, length);
    if (length <= this.length) return this.whole().subarray(0, length);
    const message = `Inference-Header-Content-Length is ${length}, but the body has ${this.length} bytes; it is cut off`;
    throw new MusterError("request/invalid", message);
  }

  /** What lies behind the first bytes. */
  tail(begin: number): BinaryTail {
    return { length: this.length - begin, take: (from, to) => this.take(begin + from, begin + to) };
  }
}

/**
 * Reads a body. `hold` is told of bytes as they come, and may throw. Throws `input/too-large` for more than `maxBytes`, and
 * `runner/client-gone` when the connection ends before the body does.
 */
export function readBody(
  request: IncomingMessage,
  { maxBytes, buffers }: { readonly maxBytes: number; readonly buffers: Buffers },
  hold: (bytes: number) => void,
): Promise<Body> {
  const declared = Number(request.headers["content-length"] ?? 0);
  const large = () =>
    new MusterError("input/too-large", `the body is larger than the ${maxBytes} bytes that are taken`);
  if (declared > maxBytes) return Promise.reject(large());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const fail = (error: unknown) => {
      request.off("data", onData);
      reject(error);
    };
    const onData = (part: Buffer) => {
      bytes += part.length;
      if (bytes > maxBytes) return fail(large());
      try {
        hold(part.length);
        parts.push(part);
      } catch (error) {
        fail(error);
      }
    };
    request.on("data", onData);
    // The listeners live as long as the request does, and leave the pieces to the body.
    request.once("end", () => resolve(new Body(parts.splice(0), buffers)));
    request.once("error", () => fail(clientGone()));
    // It closes in order, too; an error is expensive to make for that.
    request.once("close", () => request.complete || fail(clientGone()));
  });
}

/** Nobody reads this one. */
export function clientGone(): MusterError {
  return new MusterError("runner/client-gone", "the client closed the connection before it had its answer");
}
