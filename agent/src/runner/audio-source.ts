import { backoffMs, type Clock, MusterError, messageOf, type SourceReport } from "@muster/shared";
import type { AudioSource as AudioSettings } from "./feed-settings.js";
import { audioArguments, isFile, startFfmpeg } from "./ffmpeg.js";
import type { Intake } from "./intake.js";
import { type Environment, readSecret, withLogin } from "./secret.js";
import type { Source } from "./source.js";
import { StallWatch } from "./stall-watch.js";

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
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  /** Pieces of a live recording that wait for the model. */
  #waiting: Piece[] = [];
  #missing = 0;
  #answering: Promise<void> | undefined;

  constructor(deps: AudioSourceDeps) {
    this.#deps = deps;
    this.#loop = this.#run();
  }

  status(): SourceReport {
    return this.#deps.intake.report();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.#answering;
  }

  async #run(): Promise<void> {
    const { settings, intake, clock } = this.#deps;
    const { signal } = this.#stop;
    for (let failures = 0; ; ) {
      // What nobody can listen to is not recorded.
      if (!(await intake.room(signal))) return;
      let pieces = 0;
      try {
        await this.#listen(() => {
          pieces += 1;
        });
        if (signal.aborted) return;
        if (isFile(settings.input)) {
          intake.standing.waiting("the recording has ended");
          return;
        }
        intake.standing.failed("the recording has ended");
      } catch (error) {
        if (signal.aborted) return;
        intake.standing.failed(messageOf(error), error);
      }
      failures = pieces > 0 ? 0 : failures + 1;
      await clock.sleep(backoffMs(retry, failures, Math.random()), signal).catch(() => undefined);
    }
  }

  /** Runs ffmpeg to its end, and the recording with it. Throws `source/failed`, `config/invalid`, `input/invalid`. */
  async #listen(heard: () => void): Promise<void> {
    const { settings, stream, clock, env } = this.#deps;
    const { rate } = stream.form();
    const { auth, stallMs, pieceMs } = settings;
    const input =
      auth === undefined ? settings.input : withLogin(settings.input, auth.user, await readSecret(auth.password, env));
    const ffmpeg = startFfmpeg({ settings, input, arguments: audioArguments(settings, input, rate) });
    const end = () => ffmpeg.end();
    const { signal } = this.#stop;
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const stall = new StallWatch(clock, Math.max(stallMs, 3 * pieceMs), () => {
      // A file that is held by us is not at fault.
      if (!isFile(settings.input)) end();
    });
    try {
      for await (const piece of piecesOf(ffmpeg.frames, rate, pieceMs)) {
        stall.saw();
        heard();
        const wanted = this.#rateNow() ?? rate;
        if (wanted !== rate) {
          throw new MusterError(
            "source/failed",
            `the version that serves now wants ${wanted} samples a second; listening anew`,
          );
        }
        await this.#show(piece, (maxBehindMs * rate) / 1000);
      }
      const error = await ffmpeg.ended;
      if (error !== undefined) throw error;
    } catch (error) {
      if (stall.stalled) throw new MusterError("source/failed", `no sound came for ${stall.afterMs} ms`);
      // What ffmpeg says is worth more than that its output broke off.
      throw error instanceof MusterError ? error : ((await ffmpeg.ended) ?? error);
    } finally {
      stall.end();
      signal.removeEventListener("abort", end);
      end();
      await ffmpeg.ended;
      await this.#finish();
    }
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
    while (this.#waiting.length > 0 && (await intake.room(this.#stop.signal))) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) await this.#take(piece);
    }
  }

  async #take({ name, bytes, missing }: Piece): Promise<void> {
    const { intake, stream } = this.#deps;
    if (missing > 0) stream.skip(missing);
    const taken = await intake.take({ name, bytes, contentType: "audio/pcm" }, this.#stop.signal);
    // The model failed on it: what comes is heard without it.
    if (taken === "refused") stream.skip(bytes.length / sampleBytes);
  }

  /** Hears what waits, and what is still open ends. */
  async #finish(): Promise<void> {
    await this.#answering;
    this.#missing = 0;
    if (this.#stop.signal.aborted) return;
    await this.#take({ name: "end", bytes: Buffer.alloc(0), missing: 0 });
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
    return { name, bytes, missing: 0 };
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
