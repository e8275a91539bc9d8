import { MusterError, type SinkReport } from "@muster/shared";
import type { Sink, SinkRecord } from "../runner/sink.js";
import type { Answerer, Answers } from "../runner/source.js";

/** Answers with the text of the input, as a test lets it. */
export class MemoryAnswerer implements Answerer {
  now: "open" | "full" | "not-serving" = "open";
  /** What is thrown in place of an answer, by the text of the input. */
  readonly faults = new Map<string, MusterError>([["bad", new MusterError("image/invalid", "is no picture")]]);
  /** Called before each answer, for tests that hold answers back. */
  before: (text: string) => Promise<void> = async () => undefined;
  readonly types: (string | undefined)[] = [];

  state(): "open" | "full" | "not-serving" {
    return this.now;
  }

  async answer(_model: string, bytes: Uint8Array, contentType?: string): Promise<Answers> {
    const text = Buffer.from(bytes).toString("latin1");
    this.types.push(contentType);
    await this.before(text);
    const fault = this.faults.get(text);
    if (fault !== undefined) throw fault;
    return { version: "1.0.0", answers: [{ text }] };
  }
}

/** Keeps what it is given. */
export class MemorySink implements Sink {
  readonly records: SinkRecord[] = [];
  full = false;
  /** How often somebody made sure that all is safe. */
  syncs = 0;
  /** Why nothing is safe now. */
  trouble: MusterError | undefined;

  add(record: SinkRecord): void {
    this.records.push(record);
  }

  async sync(): Promise<void> {
    this.syncs += 1;
    if (this.trouble !== undefined) throw this.trouble;
  }

  status(): SinkReport {
    const counts = { waiting: 0, written: this.records.length, failed: 0, dropped: 0 };
    return { type: "memory", target: "here", state: "running", ...counts };
  }

  async close(): Promise<void> {}
}
