import { type Clock, MusterError } from "@muster/shared";
import { type FfmpegCall, startFfmpeg } from "./ffmpeg.js";
import { StallWatch } from "./stall-watch.js";

/** How a running ffmpeg is watched. */
export interface FfmpegWatch {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** What it is to give, as in "no frame came". */
  readonly what: string;
  readonly stallMs: number;
  /** Whether it is at fault when it gives nothing: one that waits for us is not. */
  readonly live: boolean;
}

/**
 * Runs ffmpeg to its end; `read` reads its output and says when something whole has come. Throws `source/failed` with what
 * ffmpeg says or that nothing came, and whatever `read` throws.
 */
export async function watchFfmpeg(
  call: FfmpegCall,
  { signal, clock, what, stallMs, live }: FfmpegWatch,
  read: (output: AsyncIterable<Buffer>, saw: () => void) => Promise<void>,
): Promise<void> {
  const ffmpeg = startFfmpeg(call);
  const end = () => ffmpeg.end();
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  const stall = new StallWatch(clock, stallMs, () => {
    if (live) end();
  });
  try {
    await read(ffmpeg.output, () => stall.saw());
    const error = await ffmpeg.ended;
    if (error !== undefined) throw error;
  } catch (error) {
    if (live && stall.stalled) throw new MusterError("source/failed", `no ${what} came for ${stallMs} ms`);
    // What ffmpeg says is worth more than that its output broke off.
    throw error instanceof MusterError ? error : ((await ffmpeg.ended) ?? error);
  } finally {
    stall.end();
    signal.removeEventListener("abort", end);
    end();
    await ffmpeg.ended;
  }
}
