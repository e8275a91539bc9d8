import type { SourceReport } from "@muster/shared";

/** The answers to one input, one for each example in it: what the model's task makes of it. */
export interface Answers {
  readonly version: string;
  readonly answers: readonly object[];
}

/** What a source asks for answers. */
export interface Answerer {
  /** Whether an input would be taken at once. */
  state(model: string): "open" | "full" | "not-serving";
  /**
   * Answers the bytes; without a type they are a picture. Throws `engine/…`, `runner/…`, `model/unknown` or
   * `internal` when it is not the input's fault, and anything else when it is.
   */
  answer(model: string, bytes: Uint8Array, contentType?: string): Promise<Answers>;
}

/**
 * Where inputs come from. It works from its start on by itself, takes no more than model and sinks can bear,
 * and tries again when what it reads from is away.
 */
export interface Source {
  status(): SourceReport;
  /** Takes nothing more, and finishes what is in hand without waiting for a model or a sink. */
  close(): Promise<void>;
}
