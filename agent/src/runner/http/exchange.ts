import type { IncomingMessage, ServerResponse } from "node:http";
import type { Buffers } from "../buffers.js";
import { headerWishes } from "../oip/wishes.js";
import { Ticket, type Wishes } from "../ticket.js";
import { type Body, type BodyBudget, clientGone, readBody } from "./body.js";

/** What requests share. */
export interface ExchangeLimits {
  readonly budget: BodyBudget;
  readonly buffers: Buffers;
  /** For requests that do not say it themselves. */
  readonly timeoutMs: number;
}

/** One request, as a route sees it. */
export class Exchange {
  readonly request: IncomingMessage;
  /** What the path of the route leaves open. */
  readonly params: Readonly<Record<string, string>>;
  readonly #response: ServerResponse;
  readonly #limits: ExchangeLimits;
  readonly #arrivedMs = performance.now();
  #tickets: Ticket[] = [];
  #heldBytes = 0;

  constructor(
    [request, response]: readonly [IncomingMessage, ServerResponse],
    params: Readonly<Record<string, string>>,
    limits: ExchangeLimits,
  ) {
    this.request = request;
    this.params = params;
    this.#response = response;
    this.#limits = limits;
    response.once("close", this.#closed);
    // Of requests that wait behind another on their connection, Node tells no end when that is cut.
    request.socket.setMaxListeners(0);
    request.socket.once("close", this.#closed);
  }

  /** What the headers wish. Throws `request/invalid`. */
  wishes(): Wishes {
    return headerWishes(this.request.headers);
  }

  /** Its media type without parameters, in lower case; empty when there is none. */
  get mediaType(): string {
    return (this.request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  }

  /** The whole body. Throws `input/too-large`, `runner/overloaded`, `runner/client-gone`. */
  body(): Promise<Body> {
    // A client that asked first sends its body only now; one that is refused need not send it.
    if (this.request.headers.expect !== undefined) this.#response.writeContinue();
    const { budget, buffers } = this.#limits;
    return readBody(this.request, { maxBytes: budget.limits.maxBodyBytes, buffers }, (bytes) => {
      budget.take(bytes, this.params.model ?? "");
      this.#heldBytes += bytes;
    });
  }

  /** A ticket that ends when the client goes away, or when the time of the request is over, counted from its arrival. */
  ticket({ priority, timeoutMs = this.#limits.timeoutMs }: Wishes): Ticket {
    const leftMs = Math.max(1, timeoutMs - (performance.now() - this.#arrivedMs));
    const ticket = new Ticket({ priority, timeoutMs: leftMs });
    if (this.#response.destroyed || this.request.socket.destroyed) ticket.end(clientGone());
    this.#tickets.push(ticket);
    return ticket;
  }

  readonly #closed = (): void => {
    this.request.socket.removeListener("close", this.#closed);
    this.#limits.budget.give(this.#heldBytes, this.params.model ?? "");
    this.#heldBytes = 0;
    for (const ticket of this.#tickets) {
      ticket.close();
      if (!this.#response.writableFinished) ticket.end(clientGone());
    }
  };
}
