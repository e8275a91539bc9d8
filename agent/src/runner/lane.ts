import { MusterError, type Tensors } from "@muster/shared";
import { type DecodedBody, hasFreeBatch } from "@muster/shared/inference";
import { BatchWorth } from "../core/batch-worth.js";
import { type BatchRule, Line, type Priority, type Waiting } from "../core/line.js";
import { batchKeyOf, type EngineJob, type EngineOutcome, type EngineResult, rowsOfJob } from "./engine-protocol.js";
import { Places } from "./places.js";
import type { Ticket } from "./ticket.js";
import { fromWire } from "./wire-error.js";

export interface LaneOptions {
  /** The engine threads. {@link Lane.look} has to be called when one becomes free. */
  readonly pool: { readonly free: number; run(jobs: readonly EngineJob[]): Promise<readonly EngineOutcome[]> };
  readonly tensors: Tensors;
  readonly rule: BatchRule;
  /** Inputs that are decoded, or wait decoded, at a time; it bounds the memory that pictures take. */
  readonly decodedAhead: number;
}

interface LaneJob extends Waiting {
  readonly job: EngineJob;
  readonly ticket: Ticket;
  readonly begin: () => void;
  readonly resolve: (result: EngineResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The way of inputs to the engines of one version: decode, wait for a thread, run, alone or with others. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #line = new Line<LaneJob>();
  readonly #places: Places;
  /** Inputs that are being decoded. */
  readonly #decoding = new Line<Waiting & { readonly ticket: Ticket }>();
  readonly #rule: BatchRule;
  readonly #worth = new BatchWorth();
  #timer: NodeJS.Timeout | undefined;
  #running = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#places = new Places(options.decodedAhead);
    this.#rule = hasFreeBatch(options.tensors) ? options.rule : { maxRows: 1, maxDelayMs: 0 };
  }

  /** Jobs that a thread works on now. */
  get running(): number {
    return this.#running;
  }

  /**
   * Decodes a body when its turn comes, and runs what it holds. Throws what `decode` throws, `engine/failed`, `tensor/invalid`,
   * and the ticket's end when that comes before the run.
   */
  async body(
    decode: () => Promise<DecodedBody>,
    ticket: Ticket,
  ): Promise<{ result: EngineResult; list: boolean; decodedMs: number }> {
    const leave = await this.#places.enter(ticket);
    try {
      const { inputs, list } = await this.#replaceable(decode, ticket);
      const decodedMs = performance.now();
      // Not before a thread takes it: else what is decoded would pile up.
      const result = await this.run({ kind: "inputs", inputs }, ticket, leave);
      return { result, list, decodedMs };
    } finally {
      leave();
    }
  }

  /**
   * Runs a body that the engine thread decodes. The thread gets a copy, because the bytes may lie in memory of others; it is
   * made when the turn comes, so that a body that waits takes its memory once. Throws like {@link body}.
   */
  undecoded(bytes: Uint8Array, contentType: string, ticket: Ticket): Promise<EngineResult> {
    const job = { kind: "body" as const, bytes: new Uint8Array(0), contentType };
    return this.run(job, ticket, () => {
      job.bytes = new Uint8Array(bytes);
    });
  }

  /** Runs a job when its turn comes; its bytes are handed over. `begin` is called when it does. Throws like {@link body}. */
  run(job: EngineJob, ticket: Ticket, begin: () => void = () => undefined): Promise<EngineResult> {
    if (ticket.why !== undefined) return Promise.reject(ticket.why);
    return new Promise((resolve, reject) => {
      const batchKey = this.#rule.maxRows > 1 ? batchKeyOf(job) : undefined;
      const { priority } = ticket;
      const forget = ticket.onEnd((why) => {
        if (this.#line.remove(waiting)) reject(why);
      });
      const waiting: LaneJob = {
        ...{ job, ticket, priority, batchKey, resolve, reject, rows: rowsOfJob(job), sinceMs: performance.now() },
        begin: () => {
          forget();
          begin();
        },
      };
      this.#line.add(waiting);
      this.look();
    });
  }

  /** Begins what can begin now. */
  look(): void {
    const { pool } = this.#options;
    while (pool.free > 0) {
      const { maxRows, maxDelayMs } = this.#rule;
      const rule = { maxRows: this.#worth.rows(maxRows), maxDelayMs };
      const next = this.#line.next(rule, pool.free, performance.now());
      if (next === undefined) return;
      if (next.do === "wait") {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.look(), Math.ceil(next.ms));
        return;
      }
      void this.#begin(next.items);
    }
  }

  /** Who waits last and is less urgent than this; of those that are decoded now nobody waits for more than that. */
  weakerThan(priority: Priority): Ticket | undefined {
    const waiting = this.#places.weakerThan(priority) ?? this.#line.weakerThan(priority)?.ticket;
    return waiting ?? this.#decoding.weakerThan(priority)?.ticket;
  }

  /** Decodes; whoever is more urgent may take the ticket's place meanwhile. */
  async #replaceable(decode: () => Promise<DecodedBody>, ticket: Ticket): Promise<DecodedBody> {
    const item = { ticket, priority: ticket.priority, sinceMs: 0, rows: 1 };
    const forget = ticket.onEnd(() => void this.#decoding.remove(item));
    this.#decoding.add(item);
    try {
      return await decode();
    } finally {
      forget();
      this.#decoding.remove(item);
    }
  }

  async #begin(items: readonly LaneJob[]): Promise<void> {
    for (const { begin } of items) begin();
    this.#running += items.length;
    const beganMs = performance.now();
    try {
      const outcomes = await this.#options.pool.run(items.map(({ job }) => job));
      const rows = items.reduce((sum, item) => sum + item.rows, 0);
      // What never shares a run, as a body of any number of inputs, is no measure for what may.
      if (rows > 0 && items[0]?.batchKey !== undefined) this.#worth.saw(rows, performance.now() - beganMs);
      for (const [at, { resolve, reject }] of items.entries()) {
        const outcome = outcomes[at];
        if (outcome !== undefined && "result" in outcome) resolve(outcome.result);
        else reject(outcome === undefined ? new MusterError("internal", "no outcome") : fromWire(outcome.error));
      }
    } catch (error) {
      for (const { reject } of items) reject(error);
    } finally {
      this.#running -= items.length;
    }
  }
}
