import type { SinkReport } from "@muster/shared";

/** One answer, as sinks hand it on. */
export interface SinkRecord {
  /** Names this answer everywhere; a receiver that may get it twice tells by it. */
  readonly id: string;
  readonly atMs: number;
  /** The source: its folder, address or topic, without anything secret. */
  readonly source: string;
  /** The input: name of the file, topic of the message, number of the frame. */
  readonly input: string;
  readonly model: string;
  readonly version: string;
  /** What the model's task makes of it. */
  readonly [field: string]: unknown;
}

/** Where answers go. */
export interface Sink {
  /** Takes a record; it is handed on soon. Never throws. */
  add(record: SinkRecord): void;
  /**
   * Resolves when all that was added will survive a crash. Throws `sink/failed` while the disk does not take it; it is
   * tried again, and nothing is lost unless the process ends.
   */
  sync(): Promise<void>;
  /** While it is full, sources add nothing more. */
  readonly full: boolean;
  status(): SinkReport;
  /** Makes safe what was added. What the receiver does not have yet is handed over after the next start. */
  close(): Promise<void>;
}
