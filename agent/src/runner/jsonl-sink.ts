import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type Log, messageOf } from "@muster/shared";
import type { JsonLinesSink, RunnerStatus } from "./protocol.js";

/** One answer, as a sink keeps it. */
export interface SinkRecord {
  readonly atMs: number;
  /** The folder of the source. */
  readonly source: string;
  readonly file: string;
  readonly model: string;
  readonly version: string;
  /** The fields of the answer, which are those of the task. */
  readonly [field: string]: unknown;
}

/** Writes answers as JSON lines. Past `maxBytes` the file becomes `.1`, in place of the one before, and a new one begins. */
export class JsonlSink {
  readonly #settings: JsonLinesSink;
  readonly #log: Log;
  #waiting: string[] = [];
  /** Whole batches are written one after the other, so that lines never mix. */
  #turn: Promise<void> = Promise.resolve();
  #written = 0;
  #failed = 0;
  #lastError: string | undefined;

  constructor(settings: JsonLinesSink, log: Log) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Takes a record; it is written soon. What cannot be written is counted, and never stops a source. */
  add(record: SinkRecord): void {
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    if (this.#waiting.length === 1) this.#turn = this.#turn.then(() => this.#write(false));
  }

  /** Resolves when all that was added is safe on disk, or was counted as failed. */
  async sync(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#write(true));
    await this.#turn;
  }

  status(): RunnerStatus["sinks"][number] {
    const { type, path } = this.#settings;
    const lastError = this.#lastError === undefined ? {} : { lastError: this.#lastError };
    return { type, target: path, written: this.#written, failed: this.#failed, ...lastError };
  }

  async #write(durably: boolean): Promise<void> {
    const { path, maxBytes } = this.#settings;
    const lines = this.#waiting;
    this.#waiting = [];
    try {
      await mkdir(dirname(path), { recursive: true });
      // Opened every time: whoever moves the file away finds that a new one is begun.
      let file = await open(path, "a", 0o600);
      try {
        const text = lines.join("");
        const { size } = await file.stat();
        if (size > 0 && size + Buffer.byteLength(text) > maxBytes) {
          await file.close();
          await rename(path, `${path}.1`);
          file = await open(path, "a", 0o600);
        }
        await file.appendFile(text);
        if (durably) await file.sync();
      } finally {
        await file.close();
      }
      this.#written += lines.length;
    } catch (error) {
      this.#failed += lines.length;
      this.#lastError = messageOf(error);
      this.#log.warn("runner.sink.failed", { path, lines: lines.length, error });
    }
  }
}
