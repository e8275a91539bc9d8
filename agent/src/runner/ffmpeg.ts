import { type ChildProcess, spawn } from "node:child_process";
import { MusterError } from "@muster/shared";
import type { VideoSource } from "./feed-settings.js";

/** How ffmpeg is asked for frames. */
export interface FfmpegCall {
  readonly settings: VideoSource;
  /** The input with user and password in it, where there are any. */
  readonly input: string;
}

/** What ffmpeg said last is kept up to here. */
const maxSaid = 2000;

/** The arguments that make ffmpeg write JPEG frames to its output at the wanted rate. */
export function ffmpegArguments({ settings, input }: FfmpegCall): string[] {
  const { framesPerSecond, whenSlow, repeat } = settings;
  const kind = kindOf(input);
  return [
    ...["-nostdin", "-hide_banner", "-loglevel", "error"],
    // A camera that says nothing is noticed by us: what limits the time in ffmpeg has another meaning in each version.
    ...(kind === "rtsp" ? ["-rtsp_transport", "tcp"] : []),
    ...(kind === "device" ? ["-f", "v4l2"] : []),
    ...(kind === "file" && repeat ? ["-stream_loop", "-1"] : []),
    // A file that is not held by us is played at its own pace, as a camera would show it.
    ...(kind === "file" && whenSlow === "latest" ? ["-re"] : []),
    ...["-i", input, "-an", "-sn", "-vf", `fps=${framesPerSecond}`],
    ...["-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "pipe:1"],
  ];
}

/** Whether a video ends by itself. */
export function isFile(input: string): boolean {
  return kindOf(input) === "file";
}

/** Starts ffmpeg. It ends by itself when we do: nobody reads its output then. */
export function startFfmpeg(call: FfmpegCall): FfmpegRun {
  return new FfmpegRun(call);
}

/** A running ffmpeg. */
export class FfmpegRun {
  readonly frames: AsyncIterable<Buffer>;
  /** Resolves when it has ended; undefined when it came to the end of its input, else why it ended. */
  readonly ended: Promise<MusterError | undefined>;
  readonly #child: ChildProcess;
  #said = "";

  constructor(call: FfmpegCall) {
    const { ffmpeg } = call.settings;
    const child = spawn(ffmpeg, ffmpegArguments(call), { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-maxSaid);
    });
    this.frames = child.stdout;
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
