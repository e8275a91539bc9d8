import { backoffMs, type Clock, type Log, MusterError, messageOf, type SinkReport } from "@muster/shared";
import type { AnswerSpool } from "./answer-spool.js";
import type { SpoolSettings } from "./feed-settings.js";
import { GroupWrite } from "./group-write.js";
import type { Sink, SinkRecord } from "./sink.js";
import { Standing } from "./standing.js";

/** How answers get to one kind of receiver. */
export interface Delivery {
  readonly type: string;
  /** The receiver, without anything secret. */
  readonly target: string;
  /** Answers per call, at most. */
  readonly batch: number;
  /**
   * Resolves once the receiver has taken these answers. Throws `sink/refused` when it never will, and anything else
   * when it may later; {@link Postponed} says when.
   */
  deliver(records: readonly SinkRecord[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The receiver says how long it wants to be left alone. */
export class Postponed extends MusterError {
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super("sink/failed", message);
    this.afterMs = afterMs;
  }
}

export interface SpooledSinkDeps {
  readonly settings: SpoolSettings;
  readonly delivery: Delivery;
  readonly spool: AnswerSpool;
  readonly clock: Clock;
  readonly log: Log;
}

/** So many answers may be in memory while the disk does not take them. */
const maxAdded = 1000;
const retry = { baseMs: 500, capMs: 60_000 };
/** Nobody may be put off for longer. */
const maxPostponedMs = 600_000;

/** Keeps answers on the disk until their receiver has them, and tries again as long as it takes. */
export class SpooledSink implements Sink {
  readonly #deps: SpooledSinkDeps;
  readonly #standing: Standing;
  readonly #stop = new AbortController();
  readonly #writes: GroupWrite;
  readonly #loop: Promise<void>;
  /** Not on the disk yet. */
  #added: SinkRecord[] = [];
  #wake: () => void = () => undefined;
  #written = 0;
  #failed = 0;
  #dropped = 0;

  /** Begins with what an earlier run left in the spool. */
  constructor(deps: SpooledSinkDeps) {
    this.#deps = deps;
    this.#standing = new Standing(deps.log, "runner.sink.failed", deps.delivery.target);
    this.#writes = new GroupWrite(deps.clock, () => this.#keep());
    this.#loop = this.#run();
  }

  get full(): boolean {
    const { maxWaiting, whenFull } = this.#deps.settings;
    return whenFull === "wait" && (this.#waiting >= maxWaiting || this.#added.length >= maxAdded);
  }

  add(record: SinkRecord): void {
    this.#added.push(record);
    this.#writes.soon();
  }

  async sync(): Promise<void> {
    if (this.#added.length > 0) await this.#writes.written();
  }

  status(): SinkReport {
    const { type, target } = this.#deps.delivery;
    const { reason: _, ...standing } = this.#standing.report();
    const counts = { waiting: this.#waiting, written: this.#written, failed: this.#failed, dropped: this.#dropped };
    return { type, target, ...standing, ...counts };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#loop;
    await this.#writes.close();
    this.#failed += this.#added.splice(0).length;
    await this.#deps.delivery.close();
  }

  get #waiting(): number {
    return this.#added.length + this.#deps.spool.waiting;
  }

  async #keep(): Promise<void> {
    const { spool, settings } = this.#deps;
    const isDropping = settings.whenFull === "drop-oldest";
    try {
      while (this.#added.length > 0) {
        const records = this.#added.slice(0, maxAdded);
        await spool.append(records);
        this.#added.splice(0, records.length);
      }
      if (isDropping) this.#dropped += await spool.trim();
    } catch (error) {
      this.#standing.failed(`answers cannot be kept: ${messageOf(error)}`, error);
      if (isDropping) this.#dropped += this.#added.splice(0, this.#added.length - maxAdded).length;
      throw new MusterError("sink/failed", `answers cannot be kept: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#wake();
    }
  }

  async #run(): Promise<void> {
    const { spool, delivery, clock } = this.#deps;
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; ) {
      try {
        const records = await spool.oldest(delivery.batch);
        if (records.length === 0) {
          await this.#woken();
          continue;
        }
        await this.#handOver(records);
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#standing.failed(messageOf(error), error);
        const waitMs =
          error instanceof Postponed
            ? Math.min(error.afterMs, maxPostponedMs)
            : backoffMs(retry, attempt, Math.random());
        attempt += 1;
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  /** What a receiver refuses is handed over one by one, so that a single bad answer costs only itself. */
  async #handOver(records: readonly SinkRecord[]): Promise<void> {
    const { spool, delivery } = this.#deps;
    try {
      await delivery.deliver(records, this.#stop.signal);
      this.#written += records.length;
    } catch (error) {
      if (!(error instanceof MusterError) || error.code !== "sink/refused") throw error;
      if (records.length > 1) {
        for (const record of records) await this.#handOver([record]);
        return;
      }
      this.#failed += 1;
      this.#standing.complain(messageOf(error), error);
    }
    this.#standing.running();
    await spool.handedOver(records.length);
  }

  async #woken(): Promise<void> {
    if (this.#standing.state === "starting") this.#standing.running();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#stop.signal.aborted || this.#deps.spool.waiting > 0) resolve();
    });
  }
}
