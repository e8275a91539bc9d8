import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { readIfThere, writeDurably } from "@muster/shared/node";
import { z } from "zod";

/** A file by what tells it from another of the same name: when it was last written. */
export interface FileMark {
  readonly name: string;
  readonly mtimeMs: number;
}

/** As many lines may lie in the ledger beyond twice the files that are there. */
const slackLines = 1000;

const Line = z.tuple([z.number(), z.string()]);

/**
 * Which files of a folder are done, durably: a file of lines that are added. A mark per file and not one
 * for the newest, because small boards have no clock that runs through: after a start their files may be
 * "older" than those that are done.
 */
export class FileLedger {
  readonly #path: string;
  #done: Map<string, number>;
  /** Lines in the file, repeated and outdated ones included. */
  #lines: number;

  private constructor(path: string, done: Map<string, number>, lines: number) {
    this.#path = path;
    this.#done = done;
    this.#lines = lines;
  }

  /** Opens the ledger, empty when there is none yet. A line that a power cut left half written is skipped. */
  static async open(path: string): Promise<FileLedger> {
    const text = (await readIfThere(path)) ?? "";
    const lines = text.split("\n").filter((line) => line !== "");
    return new FileLedger(path, new Map(lines.flatMap(markOf)), lines.length);
  }

  has({ name, mtimeMs }: FileMark): boolean {
    return this.#done.get(name) === mtimeMs;
  }

  /** Adds files that are done, durably. `present` are the names in the folder; what is gone is forgotten in time. */
  async add(marks: readonly FileMark[], present: ReadonlySet<string>): Promise<void> {
    if (marks.length === 0) return;
    for (const { name, mtimeMs } of marks) this.#done.set(name, mtimeMs);
    if (this.#lines + marks.length > 2 * present.size + slackLines) return this.#rewrite(present);
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = await open(this.#path, "a", 0o600);
    try {
      // A line break first ends what a power cut may have left without one.
      await file.appendFile(`\n${marks.map(lineOf).join("\n")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#lines += marks.length;
  }

  async #rewrite(present: ReadonlySet<string>): Promise<void> {
    this.#done = new Map([...this.#done].filter(([name]) => present.has(name)));
    const marks = [...this.#done].map(([name, mtimeMs]) => ({ name, mtimeMs }));
    await writeDurably(this.#path, `${marks.map(lineOf).join("\n")}\n`);
    this.#lines = marks.length;
  }
}

function lineOf({ name, mtimeMs }: FileMark): string {
  return JSON.stringify([mtimeMs, name]);
}

function markOf(line: string): [string, number][] {
  try {
    const [mtimeMs, name] = Line.parse(JSON.parse(line));
    return [[name, mtimeMs]];
  } catch {
    // At worst one file is answered again.
    return [];
  }
}
