import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, type Log, MusterError, messageOf, type SinkReport } from "@muster/shared";
import { isMissing, syncFolder } from "@muster/shared/node";
import type { JsonLinesSink } from "./feed-settings.js";
import { GroupWrite } from "./group-write.js";
import type { Sink, SinkRecord } from "./sink.js";
import { Standing } from "./standing.js";

export interface JsonlSinkDeps {
  readonly settings: JsonLinesSink;
  readonly clock: Clock;
  readonly log: Log;
}

/** Past so many lines that the disk has not taken yet, sources wait. */
const maxWaiting = 1000;

/** Writes answers as JSON lines. Past `maxBytes` the file becomes `.1`, the one before `.2` and so on, and a new one begins. */
export class JsonlSink implements Sink {
  readonly #settings: JsonLinesSink;
  readonly #standing: Standing;
  readonly #writes: GroupWrite;
  #waiting: string[] = [];
  #durably = false;
  #written = 0;
  #lost = 0;

  constructor({ settings, clock, log }: JsonlSinkDeps) {
    this.#settings = settings;
    this.#standing = new Standing(log, "runner.sink.failed", settings.path);
    this.#standing.running();
    this.#writes = new GroupWrite(clock, () => this.#write());
  }

  get full(): boolean {
    return this.#waiting.length >= maxWaiting;
  }

  add(record: SinkRecord): void {
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    this.#writes.soon();
  }

  async sync(): Promise<void> {
    this.#durably = true;
    await this.#writes.written();
  }

  status(): SinkReport {
    const counts = { waiting: this.#waiting.length, written: this.#written, failed: this.#lost, dropped: 0 };
    return { type: "jsonl", target: this.#settings.path.slice(0, 300), ...this.#standing.report(), ...counts };
  }

  async close(): Promise<void> {
    this.#durably = true;
    await this.#writes.close();
    this.#lost += this.#waiting.splice(0).length;
  }

  async #write(): Promise<void> {
    const { path } = this.#settings;
    const lines = [...this.#waiting];
    const durably = this.#durably;
    try {
      await mkdir(dirname(path), { recursive: true });
      await this.#append(lines.join(""), durably);
      if (durably) this.#durably = false;
      this.#waiting.splice(0, lines.length);
      this.#written += lines.length;
      this.#standing.running();
    } catch (error) {
      this.#standing.failed(`cannot write: ${messageOf(error)}`, error);
      throw new MusterError("sink/failed", `${path} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Adds the text whole, or leaves the file as it was. */
  async #append(text: string, durably: boolean): Promise<void> {
    const { path, maxBytes } = this.#settings;
    // Opened every time: whoever moves the file away finds that a new one is begun.
    let file = await open(path, "a", 0o600);
    try {
      let { size } = await file.stat();
      if (size > 0 && size + Buffer.byteLength(text) > maxBytes) {
        // Lines before these were perhaps written without; whoever waits for these waits for those too.
        if (durably) await file.sync();
        await file.close();
        await this.#rotate();
        file = await open(path, "a", 0o600);
        size = 0;
      }
      try {
        await file.appendFile(text);
        if (durably) await file.sync();
        if (durably && size === 0) await syncFolder(dirname(path));
      } catch (error) {
        await file.truncate(size).catch(() => undefined);
        throw error;
      }
    } finally {
      await file.close();
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
