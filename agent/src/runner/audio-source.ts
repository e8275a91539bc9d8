import { type Clock, MusterError, type SourceReport } from "@muster/shared";
import type { AudioSource as AudioSettings } from "./feed-settings.js";
import { audioArguments, isFile } from "./ffmpeg.js";
import { watchFfmpeg } from "./ffmpeg-watch.js";
import type { Intake } from "./intake.js";
import { type Environment, inputWithLogin } from "./secret.js";
import type { Source } from "./source.js";
import { SourceLoop } from "./source-loop.js";

/** What the source needs of the stream that its pieces go to. */
export interface Stream {
  /** Throws `input/invalid` when the version that serves takes no stream, `runner/not-serving`, `model/unknown`. */
  form(): { readonly rate: number };
  /** So many samples of the stream are missing. */
  skip(samples: number): void;
}

export interface AudioSourceDeps {
  readonly settings: AudioSettings;
  readonly intake: Intake;
  readonly stream: Stream;
  readonly env: Environment;
  readonly clock: Clock;
}

interface Piece {
  /** Seconds since ffmpeg was started, as the recording counts them. */
  readonly name: string;
  readonly bytes: Buffer;
  /** Samples per second. */
  readonly rate: number;
  /** Samples that are missing in front of it. */
  missing: number;
}

const retry = { baseMs: 1000, capMs: 60_000 };
const sampleBytes = 4;
/** A live recording that the model is so far behind is let go, and heard again from where it is then. */
const maxBehindMs = 5000;

/** Listens to a microphone, an address or a file, piece by piece; ffmpeg is started again when it ends. */
export class AudioSource implements Source {
  readonly #deps: AudioSourceDeps;
  readonly #loop: SourceLoop;
  /** Pieces of a live recording that wait for the model. */
  #waiting: Piece[] = [];
  #missing = 0;
  #answering: Promise<void> | undefined;

  constructor(deps: AudioSourceDeps) {
    this.#deps = deps;
    const { intake, clock } = deps;
    this.#loop = new SourceLoop({ intake, clock, retry, work: (good) => this.#work(good) });
  }

  status(): SourceReport {
    return this.#deps.intake.report();
  }

  async close(): Promise<void> {
    this.#loop.stop();
    await this.#loop.over();
    await this.#answering;
  }

  async #work(good: () => void): Promise<undefined> {
    const { settings, intake } = this.#deps;
    try {
      await this.#listen(good);
    } finally {
      await this.#finish();
    }
    if (!isFile(settings.input)) throw new MusterError("source/failed", "the recording has ended");
    if (!this.#loop.signal.aborted) intake.standing.waiting("the recording has ended");
  }

  /** Runs ffmpeg to its end, and the recording with it. Throws `source/failed`, `config/invalid`, `input/invalid`. */
  async #listen(good: () => void): Promise<void> {
    const { settings, stream, env, clock } = this.#deps;
    const { rate } = stream.form();
    const { stallMs, pieceMs } = settings;
    const input = await inputWithLogin(settings, env);
    const call = { settings, input, arguments: audioArguments(settings, input, rate) };
    const watch = { signal: this.#loop.signal, clock, what: "sound", stallMs: Math.max(stallMs, 3 * pieceMs) };
    await watchFfmpeg(call, { ...watch, live: !isFile(settings.input) }, async (output, saw) => {
      for await (const piece of piecesOf(output, rate, pieceMs)) {
        saw();
        good();
        const wanted = this.#rateNow() ?? rate;
        if (wanted !== rate) {
          const message = `the version that serves now wants ${wanted} samples a second; listening anew`;
          throw new MusterError("source/failed", message);
        }
        await this.#show(piece, (maxBehindMs * rate) / 1000);
      }
    });
  }

  /** The rate that is wanted now; undefined while nothing serves. */
  #rateNow(): number | undefined {
    try {
      return this.#deps.stream.form().rate;
    } catch (error) {
      if (error instanceof MusterError && error.code === "input/invalid") throw error;
      return undefined;
    }
  }

  /** Gives a piece to the model; a file is held meanwhile, a live recording goes on. */
  async #show(piece: Piece, maxBehind: number): Promise<void> {
    const { settings, intake } = this.#deps;
    if (isFile(settings.input)) return this.#take(piece);
    const waiting = this.#waiting.reduce((sum, { bytes }) => sum + bytes.length / sampleBytes, 0);
    if (waiting > maxBehind) {
      intake.drop(this.#waiting.length);
      this.#missing += this.#waiting.reduce((sum, { missing }) => sum + missing, waiting);
      this.#waiting = [];
    }
    piece.missing = this.#missing;
    this.#missing = 0;
    this.#waiting.push(piece);
    this.#answering ??= this.#answerWaiting().finally(() => {
      this.#answering = undefined;
    });
  }

  async #answerWaiting(): Promise<void> {
    const { intake } = this.#deps;
    // Taken only once there is room for it: until then it may have to give way.
    while (this.#waiting.length > 0 && (await intake.room(this.#loop.signal))) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) await this.#take(piece);
    }
  }

  async #take({ name, bytes, rate, missing }: Piece): Promise<void> {
    const { intake, stream } = this.#deps;
    if (missing > 0) stream.skip(missing);
    if (this.#isOutdated(rate)) return intake.drop();
    const taken = await intake.take({ name, bytes, contentType: "audio/pcm" }, this.#loop.signal);
    // The model failed on it: what comes is heard without it.
    if (taken === "refused") stream.skip(bytes.length / sampleBytes);
  }

  /** Whether it was recorded for a version that does not serve any more, at another rate. */
  #isOutdated(rate: number): boolean {
    try {
      return (this.#rateNow() ?? rate) !== rate;
    } catch {
      // A version that takes no stream refuses it, and says why.
      return false;
    }
  }

  /** Hears what waits, and what is still open ends. */
  async #finish(): Promise<void> {
    await this.#answering;
    this.#missing = 0;
    if (this.#loop.signal.aborted) return;
    await this.#deps.intake.take({ name: "end", bytes: Buffer.alloc(0), contentType: "audio/pcm" }, this.#loop.signal);
  }
}

/** The samples of a recording, cut into pieces of a duration; the last may be shorter. */
async function* piecesOf(source: AsyncIterable<Buffer>, rate: number, pieceMs: number): AsyncGenerator<Piece> {
  const wanted = Math.max(1, Math.round((rate * pieceMs) / 1000)) * sampleBytes;
  let parts: Buffer[] = [];
  let length = 0;
  let samples = 0;
  const cut = (bytes: Buffer): Piece => {
    const name = `${(samples / rate).toFixed(1)} s`;
    samples += bytes.length / sampleBytes;
    return { name, bytes, rate, missing: 0 };
  };
  for await (const part of source) {
    parts.push(part);
    length += part.length;
    if (length < wanted) continue;
    const all = Buffer.concat(parts, length);
    const whole = Math.floor(length / wanted) * wanted;
    for (let from = 0; from < whole; from += wanted) yield cut(all.subarray(from, from + wanted));
    parts = [all.subarray(whole)];
    length -= whole;
  }
  const rest = Math.floor(length / sampleBytes) * sampleBytes;
  if (rest > 0) yield cut(Buffer.concat(parts, length).subarray(0, rest));
}
