import { type Clock, MusterError, type SourceReport } from "@muster/shared";
import type { VideoSource as VideoSettings } from "./feed-settings.js";
import { isFile, videoArguments } from "./ffmpeg.js";
import { watchFfmpeg } from "./ffmpeg-watch.js";
import { type Intake, maxInputBytes } from "./intake.js";
import { JpegFrames } from "./jpeg-frames.js";
import { type Environment, inputWithLogin } from "./secret.js";
import type { Source } from "./source.js";
import { SourceLoop } from "./source-loop.js";

export interface VideoSourceDeps {
  readonly settings: VideoSettings;
  readonly intake: Intake;
  readonly env: Environment;
  readonly clock: Clock;
}

interface Frame {
  readonly number: number;
  readonly bytes: Buffer;
}

const retry = { baseMs: 1000, capMs: 60_000 };

/** Takes frames of a video, the newest when the model is slower than the video; ffmpeg is started again when it ends. */
export class VideoSource implements Source {
  readonly #deps: VideoSourceDeps;
  readonly #loop: SourceLoop;
  /** The newest frame, when nobody has taken it yet. */
  #latest: Frame | undefined;
  /** The work on frames that is going on. */
  #answering: Promise<void> | undefined;
  #number = 0;

  constructor(deps: VideoSourceDeps) {
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
    // One that gives frames may come back at once.
    await this.#watch(good);
    await this.#answering;
    if (!isFile(settings.input)) throw new MusterError("source/failed", "the video has ended");
    if (!this.#loop.signal.aborted) intake.standing.waiting("the video has ended");
  }

  /** Runs ffmpeg to its end. Throws `source/failed`, `config/invalid`. */
  async #watch(good: () => void): Promise<void> {
    const { settings, intake, env, clock } = this.#deps;
    const { whenSlow, stallMs, framesPerSecond } = settings;
    const input = await inputWithLogin(settings, env);
    const call = { settings, input, arguments: videoArguments(settings, input) };
    const watch = {
      signal: this.#loop.signal,
      clock,
      what: "frame",
      stallMs: Math.max(stallMs, 3000 / framesPerSecond),
    };
    const cutter = new JpegFrames(maxInputBytes);
    await watchFfmpeg(call, { ...watch, live: whenSlow === "latest" }, async (output, saw) => {
      for await (const piece of output) {
        for (const bytes of cutter.push(piece)) {
          saw();
          good();
          // It is the model that makes it run or wait, once frames come.
          if (intake.standing.state !== "waiting") intake.standing.running();
          this.#number += 1;
          await this.#show({ number: this.#number, bytes });
        }
      }
    });
  }

  /** Gives a frame to the model; resolves when the next one may be read. */
  async #show(frame: Frame): Promise<void> {
    if (this.#deps.settings.whenSlow === "wait") return this.#take(frame);
    if (this.#latest !== undefined) this.#deps.intake.drop();
    this.#latest = frame;
    this.#answering ??= this.#answerLatest().finally(() => {
      this.#answering = undefined;
    });
  }

  async #answerLatest(): Promise<void> {
    const { intake } = this.#deps;
    // Taken only once there is room for it, so that it is the newest one then.
    while (this.#latest !== undefined && (await intake.room(this.#loop.signal))) {
      const frame = this.#latest;
      this.#latest = undefined;
      if (frame !== undefined) await this.#take(frame);
    }
  }

  async #take({ number, bytes }: Frame): Promise<void> {
    await this.#deps.intake.take({ name: `frame ${number}`, bytes }, this.#loop.signal);
  }
}
