import type { Log, LogFields } from "@muster/shared";
import { Pace } from "../core/pace.js";

/** Refusals that are logged; a flood of them is counted in full, but must not fill the disk. */
const logLines = { perSecond: 20, burst: 200 };

/** What a broker refuses: counted by reason, and logged as far as that does not flood the log. */
export class Refusals {
  readonly #log: Log;
  readonly #counts = new Map<string, number>();
  readonly #pace = new Pace(logLines.perSecond, performance.now(), logLines.burst);
  #unlogged = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Since the start, by reason. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  count(reason: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  warn(event: string, fields: LogFields): void {
    if (!this.#pace.free(performance.now())) {
      this.#unlogged += 1;
      return;
    }
    this.#pace.take(1, performance.now());
    this.#log.warn(event, this.#unlogged === 0 ? fields : { ...fields, notLoggedBefore: this.#unlogged });
    this.#unlogged = 0;
  }
}
