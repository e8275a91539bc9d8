import { randomInt } from "node:crypto";
import {
  type Clock,
  type Command,
  decode,
  decodeFrame,
  encode,
  MusterError,
  maxUploadBytes,
  maxUploadRanges,
  UploadRefusal,
} from "@muster/shared";
import type { DeviceLink } from "./ports.js";

export interface EnginePullsDeps {
  readonly link: Pick<DeviceLink, "send">;
  readonly clock: Clock;
}

/** A file of an engine on a device. */
export interface EngineFile {
  /** The model file that the engine was built of. */
  readonly artifact: string;
  readonly name: string;
  readonly sizeBytes: number;
}

/** A range is small, so that also on a thin line one comes within {@link reaskMs}. */
const rangeBytes = maxUploadBytes / maxUploadRanges;
/** What has not come is asked for again when nothing came for so long, and given up when nothing came for so many times. */
const reaskMs = 10_000;
const maxSilences = 4;

/** A part of a file that is being asked for: all that is held of it in memory. */
interface Window {
  /** Names the pull; what came of others does not count. */
  readonly transfer: number;
  readonly startsAt: number;
  readonly bytes: Buffer;
  /** Offset in the file and length of what has not come. */
  readonly missing: Map<number, number>;
  refused: MusterError | undefined;
  /** Ends the wait for more. */
  wake: () => void;
}

/** Asks devices for files of their engines, a window at a time, again and again until all of it has come or nothing comes any more. */
export class EnginePulls {
  readonly #deps: EnginePullsDeps;
  readonly #windows = new Map<string, Window>();
  #dropped = 0;

  constructor(deps: EnginePullsDeps) {
    this.#deps = deps;
  }

  /** Frames that nothing had asked for, or that came too late or twice. */
  counters(): Readonly<Record<string, number>> {
    return { "engine-frames-dropped": this.#dropped };
  }

  /**
   * The bytes of a file, in order; whether they are the right ones is for their digest to say. One file of a device at a time.
   * Throws `link/closed` when the device is not there to begin with, `transfer/stalled`, `transfer/refused`, or the signal's reason.
   */
  async *read(device: string, file: EngineFile, signal: AbortSignal): AsyncGenerator<Buffer> {
    if (this.#windows.has(device)) throw new MusterError("engine/busy", `${device} is being asked for a file already`);
    const transfer = randomInt(2 ** 32);
    try {
      for (let startsAt = 0; startsAt < file.sizeBytes; startsAt += maxUploadBytes) {
        const window = windowOf(transfer, startsAt, Math.min(maxUploadBytes, file.sizeBytes - startsAt));
        this.#windows.set(device, window);
        await this.#fill(device, file, window, signal);
        yield window.bytes;
      }
    } finally {
      this.#windows.delete(device);
    }
  }

  /** Takes what a device sent on its topic `upload`. Throws `frame/invalid`, `message/invalid`. */
  take(device: string, payload: Buffer): void {
    const window = this.#windows.get(device);
    if (window === undefined) this.#dropped += 1;
    // A refusal is JSON, which no frame begins as.
    else if (payload[0] === 0x7b) this.#takeRefusal(device, window, payload);
    else this.#takeFrame(window, payload);
  }

  #takeFrame(window: Window, payload: Buffer): void {
    const { transfer, offset, bytes, deflated } = decodeFrame(payload);
    // One that answers an earlier request of this pull is as good: on a slow line it may be what comes first.
    if (transfer !== window.transfer || deflated === true || window.missing.get(offset) !== bytes.length) {
      this.#dropped += 1;
      return;
    }
    bytes.copy(window.bytes, offset - window.startsAt);
    window.missing.delete(offset);
    window.wake();
  }

  #takeRefusal(device: string, window: Window, payload: Buffer): void {
    const { transfer, error } = decode(UploadRefusal, payload, "upload refusal");
    if (transfer !== window.transfer) {
      this.#dropped += 1;
      return;
    }
    const why = error === "gone" ? "does not have this engine any more" : "has less of this file than it reported";
    window.refused = new MusterError("transfer/refused", `device ${device} ${why}; see: muster engine ls`);
    window.wake();
  }

  async #fill(device: string, file: EngineFile, window: Window, signal: AbortSignal): Promise<void> {
    let silences = 0;
    for (let request = 0; window.missing.size > 0; request += 1) {
      const before = window.missing.size;
      await this.#ask(device, file, window, request);
      await this.#untilQuiet(window, signal);
      if (window.refused !== undefined) throw window.refused;
      silences = window.missing.size < before ? 0 : silences + 1;
      if (silences < maxSilences) continue;
      const quietMs = maxSilences * reaskMs;
      const cure = `see: muster device show ${device}, and share it again`;
      throw new MusterError(
        "transfer/stalled",
        `${device} sent nothing of its engine for ${quietMs / 1000} s; ${cure}`,
      );
    }
  }

  async #ask(device: string, { artifact, name }: EngineFile, window: Window, request: number): Promise<void> {
    const { transfer, startsAt, missing } = window;
    const command: Command = { type: "upload", transfer, request, artifact, file: name, ranges: [...missing] };
    try {
      await this.#deps.link.send(device, "command", encode(command));
    } catch (error) {
      // A device that was there a moment ago may come back; it is asked again after a while.
      const begun = startsAt > 0 || request > 0;
      if (!begun || !(error instanceof MusterError && error.code === "link/closed")) throw error;
    }
  }

  /** Until all has come, the device has refused, or nothing has come for {@link reaskMs}. */
  async #untilQuiet(window: Window, signal: AbortSignal): Promise<void> {
    while (window.missing.size > 0 && window.refused === undefined) {
      signal.throwIfAborted();
      const over = new AbortController();
      const woken = new Promise<"woken">((resolve) => {
        window.wake = () => resolve("woken");
      });
      const slept = this.#deps.clock
        .sleep(reaskMs, AbortSignal.any([over.signal, signal]))
        .then(() => "quiet" as const)
        .catch(() => "ended" as const);
      const came = await Promise.race([woken, slept]);
      over.abort();
      if (came === "quiet") return;
    }
  }
}

function windowOf(transfer: number, startsAt: number, length: number): Window {
  const offsets = Array.from({ length: Math.ceil(length / rangeBytes) }, (_, at) => at * rangeBytes);
  const missing = new Map(offsets.map((from) => [startsAt + from, Math.min(rangeBytes, length - from)]));
  const bytes = Buffer.allocUnsafe(length);
  return { transfer, startsAt, bytes, missing, refused: undefined, wake: () => undefined };
}
