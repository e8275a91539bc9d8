import { randomInt } from "node:crypto";
import {
  type Clock,
  type Command,
  decode,
  decodeFrame,
  encode,
  formatBytes,
  MusterError,
  maxUploadBytes,
  maxUploadRanges,
  UploadRefusal,
} from "@muster/shared";
import type { DeviceLink } from "./ports.js";

export interface EnginePullsDeps {
  readonly link: Pick<DeviceLink, "send">;
  readonly clock: Clock;
  /** Whether a broker that is not the hub's own lies between, with rules of its own. */
  readonly brokerElsewhere?: boolean;
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
/** A window that takes longer is given up as well: who sends a little now and then must not hold up others for days. */
const maxWindowMs = 300_000;

/** A part of a file that is being asked for: all that is held of it in memory. */
interface Window {
  /** Names the pull; what came of others does not count. */
  readonly transfer: number;
  readonly startsAt: number;
  readonly bytes: Buffer;
  /** Offset in the file and length of what has not come. */
  readonly missing: Map<number, number>;
  readonly untilMs: number;
  /** Whether anything of this pull came since it was last asked for, be it late or twice: a slow line is not a silent device. */
  heard: boolean;
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
    const { clock } = this.#deps;
    try {
      for (let startsAt = 0; startsAt < file.sizeBytes; startsAt += maxUploadBytes) {
        const window = windowOf(
          transfer,
          startsAt,
          Math.min(maxUploadBytes, file.sizeBytes - startsAt),
          clock.steady(),
        );
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
    const own = transfer === window.transfer;
    // One that answers an earlier request of this pull is as good: on a slow line it may be what comes first.
    if (own && deflated !== true && window.missing.get(offset) === bytes.length) {
      bytes.copy(window.bytes, offset - window.startsAt);
      window.missing.delete(offset);
    } else {
      this.#dropped += 1;
    }
    if (!own) return;
    window.heard = true;
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
      window.heard = false;
      await this.#ask(device, file, window, request);
      await this.#untilQuiet(window, signal);
      if (window.refused !== undefined) throw window.refused;
      silences = window.heard ? 0 : silences + 1;
      if (silences >= maxSilences) throw this.#silent(device, window);
      if (window.missing.size > 0 && this.#deps.clock.steady() >= window.untilMs) throw tooSlow(device, window);
    }
  }

  #silent(device: string, { startsAt, bytes, missing }: Window): MusterError {
    const message = `${device} sent nothing of its engine for ${(maxSilences * reaskMs) / 1000} s`;
    const cure = `see: muster device show ${device}, and share it again`;
    const none = startsAt === 0 && missing.size === Math.ceil(bytes.length / rangeBytes);
    const rules = "the broker's 'acl' may be older than this hub and lack the topic 'upload': muster broker-config";
    const also = none && this.#deps.brokerElsewhere === true ? `. If it is online, ${rules}` : "";
    return new MusterError("transfer/stalled", `${message}; ${cure}${also}`);
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

  /** Until all has come, the device has refused, nothing has come for {@link reaskMs}, or the window's time is over. */
  async #untilQuiet(window: Window, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (window.missing.size > 0 && window.refused === undefined && clock.steady() < window.untilMs) {
      signal.throwIfAborted();
      const over = new AbortController();
      const woken = new Promise<"woken">((resolve) => {
        window.wake = () => resolve("woken");
      });
      const slept = clock
        .sleep(reaskMs, AbortSignal.any([over.signal, signal]))
        .then(() => "quiet" as const)
        .catch(() => "ended" as const);
      const came = await Promise.race([woken, slept]);
      over.abort();
      if (came === "quiet") return;
    }
  }
}

function tooSlow(device: string, { bytes, missing }: Window): MusterError {
  const left = [...missing.values()].reduce((sum, length) => sum + length, 0);
  const came = `${formatBytes(bytes.length - left)} of ${formatBytes(bytes.length)}`;
  const cure = "share it from a device with a faster line";
  return new MusterError("transfer/stalled", `${device} sent only ${came} in ${maxWindowMs / 1000} s; ${cure}`);
}

function windowOf(transfer: number, startsAt: number, length: number, nowMs: number): Window {
  const offsets = Array.from({ length: Math.ceil(length / rangeBytes) }, (_, at) => at * rangeBytes);
  const missing = new Map(offsets.map((from) => [startsAt + from, Math.min(rangeBytes, length - from)]));
  const bytes = Buffer.allocUnsafe(length);
  const untilMs = nowMs + maxWindowMs;
  return { transfer, startsAt, bytes, missing, untilMs, heard: false, refused: undefined, wake: () => undefined };
}
