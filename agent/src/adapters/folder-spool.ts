import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Log, messageOf, Turns } from "@muster/shared";
import { readIfThere, syncFolder, writeDurably } from "@muster/shared/node";
import type { AtRest } from "../at-rest.js";
import type { Spool } from "../ports.js";

export interface FolderSpoolOptions {
  readonly maxWaiting: number;
  /** How records lie on the disk. */
  readonly atRest: AtRest;
  readonly log: Log;
}

/**
 * A spool of one file per record, named by its number. When nothing waits at a start, a new stream
 * begins, so that no counter has to survive.
 */
export class FolderSpool<T> implements Spool<T> {
  readonly stream: string;
  readonly #folder: string;
  readonly #maxWaiting: number;
  readonly #waiting: number[];
  readonly #atRest: AtRest;
  readonly #log: Log;
  #next: number;
  #dropped = 0;
  /** Changes happen one after the other: numbers reach the disk in their order. */
  readonly #turns = new Turns();

  private constructor(folder: string, stream: string, waiting: number[], options: FolderSpoolOptions) {
    this.#folder = folder;
    this.stream = stream;
    this.#waiting = waiting;
    this.#next = (waiting.at(-1) ?? 0) + 1;
    this.#maxWaiting = options.maxWaiting;
    this.#atRest = options.atRest;
    this.#log = options.log;
  }

  static async open<T>(folder: string, options: FolderSpoolOptions): Promise<FolderSpool<T>> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = await readdir(folder);
    for (const name of names.filter((entry) => entry.endsWith(".tmp"))) await rm(join(folder, name), { force: true });
    const waiting = names
      .flatMap((name) => (/^\d{12}\.json$/.test(name) ? [Number.parseInt(name, 10)] : []))
      .sort((a, b) => a - b);
    const streamPath = join(folder, "stream");
    const known = await readIfThere(streamPath);
    const stream = known === undefined || waiting.length === 0 ? randomBytes(8).toString("hex") : known;
    if (stream !== known) await writeDurably(streamPath, stream);
    return new FolderSpool<T>(folder, stream, waiting, options);
  }

  add(record: (seq: number) => T): Promise<number> {
    return this.#turns.take(async () => {
      const seq = this.#next;
      await writeDurably(this.#path(seq), this.#atRest.seal(JSON.stringify(record(seq))));
      this.#next = seq + 1;
      this.#waiting.push(seq);
      if (this.#waiting.length > this.#maxWaiting) {
        await this.#delete(this.#waiting.splice(0, this.#waiting.length - this.#maxWaiting));
        this.#dropped += 1;
      }
      return seq;
    });
  }

  oldest(limit: number): Promise<T[]> {
    return this.#turns.take(async () => {
      const records: T[] = [];
      for (const seq of this.#waiting.slice(0, limit)) {
        const record = await this.#read(seq);
        if (record !== undefined) records.push(record);
      }
      return records;
    });
  }

  acknowledge(seq: number): Promise<void> {
    return this.#turns.take(async () => {
      const until = this.#waiting.findIndex((waiting) => waiting > seq);
      await this.#delete(this.#waiting.splice(0, until === -1 ? this.#waiting.length : until));
    });
  }

  counts(): { waiting: number; dropped: number } {
    return { waiting: this.#waiting.length, dropped: this.#dropped };
  }

  /** A record that cannot be read is dropped and counted: it must not hold up those behind it. */
  async #read(seq: number): Promise<T | undefined> {
    try {
      return JSON.parse(this.#atRest.open(await readFile(this.#path(seq)))) as T;
    } catch (error) {
      this.#log.error("spool.record.damaged", { folder: this.#folder, seq, reason: messageOf(error) });
      this.#waiting.splice(this.#waiting.indexOf(seq), 1);
      this.#dropped += 1;
      await this.#delete([seq]);
      return undefined;
    }
  }

  async #delete(numbers: readonly number[]): Promise<void> {
    if (numbers.length === 0) return;
    for (const seq of numbers) await rm(this.#path(seq), { force: true });
    await syncFolder(this.#folder);
  }

  #path(seq: number): string {
    return join(this.#folder, `${String(seq).padStart(12, "0")}.json`);
  }
}
