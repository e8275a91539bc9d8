/** What is asked for on an empty link: its first frame tells the time of the way, those behind it tell the rate. */
interface Sounding {
  readonly request: number;
  readonly askedMs: number;
  /** Frames that are waited for. */
  left: number;
  first: { readonly atMs: number; readonly bytes: number } | undefined;
  laterBytes: number;
}

/** So many frames are enough; a long request would only delay the answer. */
const soundedFrames = 4;
/** The rate is a mean over twice the way's time, and at least over this. */
const minMeanMs = 100;

/**
 * What the frames of a transfer tell of the link: how long a byte is on its way there and back when nothing is before
 * it, and how many come per millisecond. A full link hides the first and a starved one the second, so both are
 * sounded from time to time by a request on an empty link (as BBR does; Cardwell et al., ACM Queue 14/5, 2016).
 */
export class LinkEstimate {
  #sounding: Sounding | undefined;
  #roundTripMs: number | undefined;
  #soundedBytesPerMs = 0;
  /** Bytes and milliseconds that arrivals took, the older the less. */
  #meanBytes = 0;
  #meanMs = 0;
  #unevenMs = 0;
  #lastMs: number | undefined;
  readonly #mostMs: number;

  /** `roundTripMs` is what the way is known to take at the most; behind other traffic it seems longer. */
  constructor(roundTripMs = Number.POSITIVE_INFINITY) {
    this.#mostMs = roundTripMs;
  }

  /** The round trip on an empty link; undefined until it was sounded. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** 0 until two frames have come one after the other. */
  get bytesPerMs(): number {
    return this.#meanMs === 0 ? 0 : this.#meanBytes / this.#meanMs;
  }

  /** The rate of what came behind the first frame of the last sounding: what the link carries when it has something to. */
  get soundedBytesPerMs(): number {
    return this.#soundedBytesPerMs;
  }

  /** By how much frames come earlier or later than this rate says: a mean, 0 where all flows evenly. */
  get unevenMs(): number {
    return this.#unevenMs;
  }

  /** Nothing has come for a while because nothing was asked for. */
  pause(): void {
    this.#lastMs = undefined;
    this.#sounding = undefined;
  }

  /** A request for so many frames goes out, and nothing else is on its way. */
  sound(request: number, frames: number, nowMs: number): void {
    this.#lastMs = undefined;
    this.#sounding =
      frames < 2
        ? undefined
        : { request, askedMs: nowMs, left: Math.min(frames, soundedFrames), first: undefined, laterBytes: 0 };
  }

  /** A frame that a request asked for has come. */
  arrived(request: number, bytes: number, nowMs: number): void {
    if (this.#lastMs !== undefined) {
      const sinceMs = nowMs - this.#lastMs;
      const kept = Math.exp(-sinceMs / Math.max(minMeanMs, 2 * (this.#roundTripMs ?? 0)));
      this.#meanBytes = this.#meanBytes * kept + bytes;
      this.#meanMs = this.#meanMs * kept + sinceMs;
      const evenMs = this.#meanMs === 0 ? 0 : bytes / this.bytesPerMs;
      this.#unevenMs += (Math.abs(sinceMs - evenMs) - this.#unevenMs) / 8;
    }
    this.#lastMs = nowMs;
    if (this.#sounding?.request === request) this.#take(this.#sounding, bytes, nowMs);
  }

  /** How many bytes of a frame under way have probably come by now. */
  underWay(nowMs: number): number {
    return this.#lastMs === undefined ? 0 : this.bytesPerMs * (nowMs - this.#lastMs);
  }

  /** What was sounded may be lost. */
  giveUp(): void {
    this.#sounding = undefined;
  }

  #take(sounding: Sounding, bytes: number, nowMs: number): void {
    if (sounding.first === undefined) sounding.first = { atMs: nowMs, bytes };
    else sounding.laterBytes += bytes;
    sounding.left -= 1;
    if (sounding.left > 0) return;
    this.#sounding = undefined;
    const { first, askedMs, laterBytes } = sounding;
    this.#soundedBytesPerMs = laterBytes / Math.max(1, nowMs - first.atMs);
    const roundTripMs = Math.max(1, first.atMs - askedMs - first.bytes / this.#soundedBytesPerMs);
    // The mean of this one and those before: a single one may have met a moment of silence or of crowding.
    const meanMs = this.#roundTripMs === undefined ? roundTripMs : (this.#roundTripMs + roundTripMs) / 2;
    this.#roundTripMs = Math.min(meanMs, this.#mostMs);
  }
}
