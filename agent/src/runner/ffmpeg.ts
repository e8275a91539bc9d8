import { type ChildProcess, spawn } from "node:child_process";
import { MusterError } from "@muster/shared";
import type { AudioSource, VideoSource } from "./feed-settings.js";

/** How ffmpeg is called. */
export interface FfmpegCall {
  /** The program, and the input as it may be shown. */
  readonly settings: { readonly ffmpeg: string; readonly input: string };
  /** The input with user and password in it, where there are any. */
  readonly input: string;
  readonly arguments: readonly string[];
}

/** What ffmpeg said last is kept up to here. */
const maxSaid = 2000;

/** The arguments that make ffmpeg write JPEG frames to its output at the wanted rate. */
export function videoArguments({ framesPerSecond, whenSlow, repeat }: VideoSource, input: string): string[] {
  const kind = kindOf(input);
  return [
    ...quietly(kind),
    ...(kind === "device" ? ["-f", "v4l2"] : []),
    ...(kind === "file" && repeat ? ["-stream_loop", "-1"] : []),
    // A file that is not held by us is played at its own pace, as a camera would show it.
    ...(kind === "file" && whenSlow === "latest" ? ["-re"] : []),
    ...["-i", input, "-an", "-sn", "-vf", `fps=${framesPerSecond}`],
    ...["-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "pipe:1"],
  ];
}

/**
 * The arguments that make ffmpeg write samples to its output: one channel, float32, at the rate. `alsa:` and `pulse:` in
 * front of an input name a microphone.
 */
export function audioArguments({ repeat }: Pick<AudioSource, "repeat">, input: string, rate: number): string[] {
  const kind = kindOf(input);
  const [, system, device] = /^(alsa|pulse):(.*)$/.exec(input) ?? [];
  return [
    ...quietly(kind),
    ...(system === undefined ? [] : ["-f", system]),
    ...(kind === "file" && repeat ? ["-stream_loop", "-1"] : []),
    ...["-i", device ?? input, "-vn", "-sn", "-ac", "1", "-ar", String(rate), "-f", "f32le", "pipe:1"],
  ];
}

function quietly(kind: ReturnType<typeof kindOf>): string[] {
  // A camera that says nothing is noticed by us: what limits the time in ffmpeg has another meaning in each version.
  const tcp = kind === "rtsp" ? ["-rtsp_transport", "tcp"] : [];
  return ["-nostdin", "-hide_banner", "-loglevel", "error", ...tcp];
}

/** Whether a recording ends by itself. */
export function isFile(input: string): boolean {
  return kindOf(input) === "file";
}

/** Starts ffmpeg. It ends by itself when we do: nobody reads its output then. */
export function startFfmpeg(call: FfmpegCall): FfmpegRun {
  return new FfmpegRun(call);
}

/** A running ffmpeg. */
export class FfmpegRun {
  readonly output: AsyncIterable<Buffer>;
  /** Resolves when it has ended; undefined when it came to the end of its input, else why it ended. */
  readonly ended: Promise<MusterError | undefined>;
  readonly #child: ChildProcess;
  #said = "";

  constructor(call: FfmpegCall) {
    const { ffmpeg } = call.settings;
    const child = spawn(ffmpeg, call.arguments, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-maxSaid);
    });
    this.output = child.stdout;
    this.ended = new Promise((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        const missing = `there is no program ${ffmpeg}: install ffmpeg (Debian: apt-get install ffmpeg), or say where it is`;
        resolve(new MusterError("source/failed", error.code === "ENOENT" ? missing : `ffmpeg: ${error.message}`));
      });
      child.once("close", (code, signal) => {
        if (code === 0) return resolve(undefined);
        const said = plain(this.#said, call).trim().split("\n").slice(-2).join("; ");
        resolve(new MusterError("source/failed", `ffmpeg ended with ${signal ?? code}: ${said}`));
      });
    });
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

/** ffmpeg names its input when it complains, and where in its memory the trouble is, which is new every time. */
function plain(text: string, { settings, input }: FfmpegCall): string {
  const withoutLogin = text.replaceAll(input, settings.input).replaceAll(/\/\/[^/@\s]*@/g, "//");
  return withoutLogin.replaceAll(/\[([^\]@]+) @ 0x[0-9a-f]+\] /g, "$1: ");
}

function kindOf(input: string): "rtsp" | "device" | "file" | "other" {
  if (/^rtsps?:/.test(input)) return "rtsp";
  if (input.startsWith("/dev/")) return "device";
  return /^[a-z][a-z0-9+.-]+:/i.test(input) ? "other" : "file";
}
