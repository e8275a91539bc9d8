import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, syncFolder } from "@muster/shared/node";
import type { SinkRecord } from "./sink.js";

export interface AnswerSpoolOptions {
  /** Answers that may wait. */
  readonly maxWaiting: number;
}

/** A file of lines, one answer each, named by its number. */
interface Segment {
  readonly number: number;
  lines: number;
}

/** As many lines has a file at most; the fewer, the less is handed over twice after a crash. */
const maxLines = 500;

/**
 * Answers that wait on the disk for their receiver, oldest first: numbered files of lines. A file is deleted once all
 * of it was handed over, so a crash hands some of the oldest file over again.
 */
export class AnswerSpool {
  readonly #folder: string;
  readonly #options: AnswerSpoolOptions;
  /** Oldest first; the last one is written to, unless it is being read. */
  #segments: Segment[];
  /** What is left of the oldest file, once it is being read. */
  #head: SinkRecord[] | undefined;
  #next: number;
  /** Changes happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, segments: Segment[], options: AnswerSpoolOptions) {
    this.#folder = folder;
    this.#segments = segments;
    this.#options = options;
    this.#next = (segments.at(-1)?.number ?? 0) + 1;
  }

  /** Opens the folder, which may be new. */
  static async open(folder: string, options: AnswerSpoolOptions): Promise<AnswerSpool> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const numbers = (await readdir(folder))
      .flatMap((name) => (/^\d{12}\.jsonl$/.test(name) ? [Number.parseInt(name, 10)] : []))
      .sort((a, b) => a - b);
    const segments: Segment[] = [];
    for (const number of numbers) {
      const lines = (await readRecords(pathOf(folder, number))).length;
      if (lines === 0) await rm(pathOf(folder, number), { force: true });
      else segments.push({ number, lines });
    }
    return new AnswerSpool(folder, segments, options);
  }

  /** Answers that wait. */
  get waiting(): number {
    const [head, ...rest] = this.#segments;
    if (head === undefined) return 0;
    return (this.#head?.length ?? head.lines) + rest.reduce((sum, { lines }) => sum + lines, 0);
  }

  /** Adds answers; when it resolves, a crash cannot lose them. */
  append(records: readonly SinkRecord[]): Promise<void> {
    return this.#exclusive(async () => {
      const perFile = Math.min(maxLines, Math.ceil(this.#options.maxWaiting / 4));
      for (let at = 0; at < records.length; ) {
        const segment = await this.#writable(perFile);
        const part = records.slice(at, at + Math.max(1, perFile - segment.lines));
        await this.#write(segment, part);
        at += part.length;
      }
    });
  }

  /** The oldest answers, at most `limit`. */
  oldest(limit: number): Promise<SinkRecord[]> {
    return this.#exclusive(async () => {
      const [segment] = this.#segments;
      if (segment === undefined) return [];
      this.#head ??= await readRecords(pathOf(this.#folder, segment.number));
      if (this.#head.length === 0) await this.#deleteHead();
      return this.#head?.slice(0, limit) ?? [];
    });
  }

  /** The `count` oldest are with their receiver. */
  handedOver(count: number): Promise<void> {
    return this.#exclusive(async () => {
      this.#head?.splice(0, count);
      if (this.#head?.length === 0) await this.#deleteHead();
    });
  }

  /** Lets go of the oldest answers, a file of them at a time, until no more than may wait are left; returns how many went. */
  trim(): Promise<number> {
    return this.#exclusive(async () => {
      const before = this.waiting;
      while (this.waiting > this.#options.maxWaiting && this.#segments.length > 1) await this.#deleteHead();
      return before - this.waiting;
    });
  }

  async #writable(perFile: number): Promise<Segment> {
    const last = this.#segments.at(-1);
    const isRead = this.#segments.length === 1 && this.#head !== undefined;
    if (last !== undefined && !isRead && last.lines < perFile) return last;
    const segment = { number: this.#next, lines: 0 };
    this.#next += 1;
    const file = await open(pathOf(this.#folder, segment.number), "a", 0o600);
    await file.close();
    await syncFolder(this.#folder);
    this.#segments.push(segment);
    return segment;
  }

  async #write(segment: Segment, records: readonly SinkRecord[]): Promise<void> {
    const file = await open(pathOf(this.#folder, segment.number), "a", 0o600);
    try {
      // A line break first ends what a power cut may have left without one.
      await file.appendFile(`\n${records.map((record) => JSON.stringify(record)).join("\n")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    segment.lines += records.length;
  }

  async #deleteHead(): Promise<void> {
    const head = this.#segments.shift();
    this.#head = undefined;
    if (head === undefined) return;
    await rm(pathOf(this.#folder, head.number), { force: true });
    await syncFolder(this.#folder);
  }

  #exclusive<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** The answers in a file; a line that a power cut left half written is skipped. */
async function readRecords(path: string): Promise<SinkRecord[]> {
  const text = (await readIfThere(path)) ?? "";
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      return [JSON.parse(line) as SinkRecord];
    } catch {
      return [];
    }
  });
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(12, "0")}.jsonl`);
}
