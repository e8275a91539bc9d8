import { randomBytes } from "node:crypto";
import type { Spool } from "../ports.js";

/** What outlives one opening of a memory spool, as a folder would. */
export interface SpoolMemory<T> {
  stream: string;
  records: { seq: number; record: T }[];
}

/** A spool in memory, held to the same contract as the one on disk. */
export class MemorySpool<T> implements Spool<T> {
  readonly stream: string;
  readonly #memory: SpoolMemory<T>;
  readonly #maxWaiting: number;
  #next: number;
  #dropped = 0;

  constructor(memory: SpoolMemory<T>, maxWaiting: number) {
    if (memory.records.length === 0) memory.stream = randomBytes(8).toString("hex");
    this.stream = memory.stream;
    this.#memory = memory;
    this.#maxWaiting = maxWaiting;
    this.#next = (memory.records.at(-1)?.seq ?? 0) + 1;
  }

  async add(record: (seq: number) => T): Promise<number> {
    const seq = this.#next;
    this.#next += 1;
    this.#memory.records.push({ seq, record: record(seq) });
    while (this.#memory.records.length > this.#maxWaiting) {
      this.#memory.records.shift();
      this.#dropped += 1;
    }
    return seq;
  }

  async oldest(limit: number): Promise<T[]> {
    return this.#memory.records.slice(0, limit).map(({ record }) => record);
  }

  async acknowledge(seq: number): Promise<void> {
    this.#memory.records = this.#memory.records.filter((entry) => entry.seq > seq);
  }

  counts(): { waiting: number; dropped: number } {
    return { waiting: this.#memory.records.length, dropped: this.#dropped };
  }
}
