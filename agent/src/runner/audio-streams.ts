import { MusterError, TurnsOf } from "@muster/shared";
import { AudioStream, type StreamAnswer, type StreamDeps } from "./audio-stream.js";

/** What streams of applications may cost. */
export interface StreamLimits {
  /** Streams that are open at a time; each keeps the states of a model. */
  readonly maxStreams: number;
  /** A stream of which nothing came for so long is closed. */
  readonly streamIdleMs: number;
}

interface Open {
  readonly stream: AudioStream;
  readonly idle: NodeJS.Timeout;
}

/** A piece of a stream, float32 at the model's rate. */
export interface Piece {
  readonly model: string;
  /** What the application calls the stream. */
  readonly stream: string;
  /** Empty when the recording ends. */
  readonly bytes: Uint8Array;
}

/** The streams of applications, by the names that these give them. */
export class AudioStreams {
  readonly #deps: StreamDeps;
  readonly #limits: StreamLimits;
  readonly #open = new Map<string, Open>();
  readonly #turns = new TurnsOf<string>();

  constructor(deps: StreamDeps, limits: StreamLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /**
   * Hears the next piece; pieces of one stream are heard one after the other. The first opens the stream, an empty one closes
   * it. After an error the same piece may come again. Throws `runner/overloaded` when too many are open, and like
   * {@link AudioStream.answer}.
   */
  hear({ model, stream, bytes }: Piece): Promise<{ version: string; answer: StreamAnswer | undefined }> {
    const key = JSON.stringify([model, stream]);
    return this.#turns.take(key, async () => {
      const open = this.#open.get(key) ?? this.#begin(key, model);
      const { version, answers } = await open.stream.answer(model, bytes);
      if (bytes.length === 0) this.#close(key, open);
      else open.idle.refresh();
      return { version, answer: answers[0] as StreamAnswer | undefined };
    });
  }

  /** How a stream of the model has to be. Throws like {@link AudioStream.form}. */
  rateOf(model: string): number {
    return new AudioStream(this.#deps, model, true).form().rate;
  }

  #begin(key: string, model: string): Open {
    const { maxStreams, streamIdleMs } = this.#limits;
    if (this.#open.size >= maxStreams) {
      const message = `${maxStreams} streams are open already; end one with an empty piece, or try again later`;
      throw new MusterError("runner/overloaded", message);
    }
    const idle = setTimeout(() => this.#close(key, open), streamIdleMs).unref();
    const open: Open = { stream: new AudioStream(this.#deps, model, true), idle };
    this.#open.set(key, open);
    return open;
  }

  #close(key: string, open: Open): void {
    clearTimeout(open.idle);
    if (this.#open.get(key) === open) this.#open.delete(key);
  }
}
