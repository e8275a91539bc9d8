import type { Clock, DocStore, Log } from "@muster/shared";
import { z } from "zod";
import { type AllowanceRules, type LocalTime, leftBytes, pauseReason, withSpent } from "./core/allowance.js";

/** What was fetched on a local day, as it is kept. */
export const Spent = z.object({ day: z.string(), bytes: z.int().min(0) });
export type Spent = z.infer<typeof Spent>;

/** What of a day's bytes may be counted twice or not at all after a crash. */
const savedEveryBytes = 1024 * 1024;

/** Says whether artifacts may be fetched now, and keeps count over restarts. */
export class Allowance {
  readonly #rules: AllowanceRules;
  readonly #store: DocStore<Spent>;
  readonly #clock: Clock;
  readonly #log: Log;
  #spent: Spent;
  #unsavedBytes = 0;
  #saving: Promise<void> = Promise.resolve();

  private constructor(rules: AllowanceRules, store: DocStore<Spent>, clock: Clock, log: Log, spent: Spent) {
    this.#rules = rules;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#spent = spent;
  }

  static async open(rules: AllowanceRules, store: DocStore<Spent>, clock: Clock, log: Log): Promise<Allowance> {
    return new Allowance(rules, store, clock, log, await store.read());
  }

  /** Why nothing may be fetched now; undefined when it may. */
  paused(): string | undefined {
    return pauseReason(this.#rules, this.#spent, localTime(this.#clock.now()));
  }

  /** Bytes that may still be fetched today; infinitely many without a limit. */
  leftBytes(): number {
    return leftBytes(this.#rules, this.#spent, localTime(this.#clock.now()));
  }

  /** Counts bytes that came over the link. */
  spend(bytes: number): void {
    this.#spent = withSpent(this.#spent, bytes, localTime(this.#clock.now()));
    this.#unsavedBytes += bytes;
    if (this.#rules.bytesPerDay > 0 && this.#unsavedBytes >= savedEveryBytes) this.#save();
  }

  /** Writes down what was counted. */
  async close(): Promise<void> {
    if (this.#unsavedBytes > 0) this.#save();
    await this.#saving;
  }

  #save(): void {
    this.#unsavedBytes = 0;
    // A count that is not saved only allows some bytes more after a restart.
    this.#saving = this.#saving
      .then(() => this.#store.write(this.#spent))
      .catch((error) => this.#log.warn("allowance.unsaved", { error }));
  }
}

function localTime(nowMs: number): LocalTime {
  const date = new Date(nowMs);
  const two = (value: number) => String(value).padStart(2, "0");
  return {
    day: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    minutes: date.getHours() * 60 + date.getMinutes(),
  };
}
