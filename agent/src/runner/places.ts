import { Line, type Priority } from "../core/line.js";
import type { Ticket } from "./ticket.js";

interface Visitor {
  readonly priority: Priority;
  readonly sinceMs: number;
  readonly rows: 1;
  readonly ticket: Ticket;
  readonly enter: () => void;
}

const oneByOne = { maxRows: 1, maxDelayMs: 0 };

/** A number of places for work; who finds none waits, the urgent first. */
export class Places {
  readonly #line = new Line<Visitor>();
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves in a place; the returned function gives it back, once. Throws the ticket's end when that comes first. */
  async enter(ticket: Ticket): Promise<() => void> {
    if (ticket.why !== undefined) throw ticket.why;
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(ticket);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#free += 1;
      this.#next();
    };
  }

  /** Who waits last and is less urgent than this. */
  weakerThan(priority: Priority): Ticket | undefined {
    return this.#line.weakerThan(priority)?.ticket;
  }

  #turn(ticket: Ticket): Promise<void> {
    return new Promise((resolve, reject) => {
      const visitor: Visitor = {
        ...{ ticket, priority: ticket.priority, sinceMs: 0, rows: 1 },
        enter: () => {
          forget();
          resolve();
        },
      };
      const forget = ticket.onEnd((why) => {
        this.#line.remove(visitor);
        reject(why);
      });
      this.#line.add(visitor);
    });
  }

  #next(): void {
    const next = this.#line.next(oneByOne, 1, 0);
    if (next?.do !== "run") return;
    this.#free -= 1;
    for (const visitor of next.items) visitor.enter();
  }
}
