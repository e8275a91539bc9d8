import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type Log, messageOf, type SinkReport } from "@muster/shared";
import { isMissing } from "@muster/shared/node";
import type { JsonLinesSink } from "./feed-settings.js";
import type { Sink, SinkRecord } from "./sink.js";
import { Standing } from "./standing.js";

/** Past so many lines that the disk has not taken yet, sources wait. */
const maxWaiting = 1000;

/** Writes answers as JSON lines. Past `maxBytes` the file becomes `.1`, the one before `.2` and so on, and a new one begins. */
export class JsonlSink implements Sink {
  readonly #settings: JsonLinesSink;
  readonly #standing: Standing;
  #waiting: string[] = [];
  #durably = false;
  /** Whole batches are written one after the other, so that lines never mix. */
  #turn: Promise<void> = Promise.resolve();
  /** The batch that will take what is added now. */
  #next: Promise<void> | undefined;
  #written = 0;
  #failed = 0;

  constructor(settings: JsonLinesSink, log: Log) {
    this.#settings = settings;
    this.#standing = new Standing(log, "runner.sink.failed", settings.path);
    this.#standing.running();
  }

  get full(): boolean {
    return this.#waiting.length >= maxWaiting;
  }

  add(record: SinkRecord): void {
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    void this.#soon();
  }

  /** Whoever asks while a batch is being written shares the next one, and its flush of the disk. */
  async sync(): Promise<void> {
    this.#durably = true;
    await this.#soon();
  }

  status(): SinkReport {
    const counts = { waiting: this.#waiting.length, written: this.#written, failed: this.#failed, dropped: 0 };
    return { type: "jsonl", target: this.#settings.path.slice(0, 300), ...this.#standing.report(), ...counts };
  }

  async close(): Promise<void> {
    await this.sync();
  }

  #soon(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const batch = this.#turn.then(() => {
      this.#next = undefined;
      return this.#write();
    });
    this.#next = batch;
    this.#turn = batch;
    return batch;
  }

  async #write(): Promise<void> {
    const { path, maxBytes } = this.#settings;
    const lines = this.#waiting;
    const durably = this.#durably;
    this.#waiting = [];
    this.#durably = false;
    try {
      await mkdir(dirname(path), { recursive: true });
      // Opened every time: whoever moves the file away finds that a new one is begun.
      let file = await open(path, "a", 0o600);
      try {
        const text = lines.join("");
        const { size } = await file.stat();
        if (size > 0 && size + Buffer.byteLength(text) > maxBytes) {
          await file.close();
          await this.#rotate();
          file = await open(path, "a", 0o600);
        }
        await file.appendFile(text);
        if (durably) await file.sync();
      } finally {
        await file.close();
      }
      this.#written += lines.length;
      this.#standing.running();
    } catch (error) {
      this.#failed += lines.length;
      this.#standing.failed(`${lines.length} answers could not be written: ${messageOf(error)}`, error);
    }
  }

  async #rotate(): Promise<void> {
    const { path, keep } = this.#settings;
    const nameOf = (age: number) => (age === 0 ? path : `${path}.${age}`);
    for (let age = keep - 1; age >= 0; age -= 1) {
      await rename(nameOf(age), nameOf(age + 1)).catch((error) => {
        if (!isMissing(error)) throw error;
      });
    }
  }
}
