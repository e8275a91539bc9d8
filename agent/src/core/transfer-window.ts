import { LinkEstimate } from "./link-estimate.js";

/** A piece of a blob: offset and length in bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

interface Asked extends Range {
  readonly askedMs: number;
  readonly request: number;
}

export const windowLimits = { startBytes: 512 * 1024, maxBytes: 4 * 1024 * 1024 };

/** How a window begins. */
export interface WindowStart {
  readonly startBytes: number;
  /** What the way's round trip is known to be at the most. */
  readonly roundTripMs?: number | undefined;
  /** How long to wait for the first range. */
  readonly timeoutMs?: number | undefined;
}
const maxRangesPerRequest = 128;
const minTimeoutMs = 2000;
/** Beyond the round trip, so much of what the link carries is kept in flight: for what a hub and a disk are late. */
const spare = { share: 0.25, minMs: 10 };
/** What comes in this time is asked for in one request, so that a fast link does not mean many of them. */
const batchMs = 10;
/** The link is sounded again after so long, or so many round trips: each time costs one of them. */
const soundAgain = { ms: 10_000, roundTrips: 30 };

/**
 * Which ranges to ask for now. Keeps no more in flight than the link carries in a round trip and a little, both
 * measured on the way: then the link is full, and control messages behind the frames are not held up for long.
 * Ranges that do not arrive in time are asked for again and the window is halved.
 */
export class TransferWindow {
  /** What nobody has asked for yet; windows of other ways may take from it as well. */
  readonly #waiting: Range[];
  readonly #start: WindowStart;
  readonly #asked = new Map<number, Asked>();
  #askedBytes = 0;
  #link: LinkEstimate;
  /** More is asked for when no more than `low` is in flight, up to `high`. */
  #low: number;
  #high: number;
  /** Whether the window still grows with all that arrives, as TCP's does at its start. */
  #starting = true;
  #soundAtMs = Number.NEGATIVE_INFINITY;
  #smoothRttMs: number | undefined;
  #request = 0;

  /** Takes from what waits, and puts back in front of it. */
  constructor(waiting: Range[], start: WindowStart = windowLimits) {
    this.#waiting = waiting;
    this.#start = start;
    this.#low = start.startBytes / 2;
    this.#high = start.startBytes;
    this.#link = new LinkEstimate(start.roundTripMs);
  }

  /** Whether every range has arrived, as far as this window knows. */
  get done(): boolean {
    return this.#waiting.length === 0 && this.#asked.size === 0;
  }

  /** Bytes asked for that have not arrived. */
  get askedBytes(): number {
    return this.#askedBytes;
  }

  /** The way's round trip when nothing is before one; undefined until it was sounded. */
  get roundTripMs(): number | undefined {
    return this.#link.roundTripMs;
  }

  get windowBytes(): number {
    return this.#high;
  }

  /**
   * The next request, once there is room for it; undefined when it is too early or all is asked for. `alone` says that
   * nothing is on its way by other ways, which would make this one seem longer than it is; they leave room for `roomBytes`.
   */
  ask(
    nowMs: number,
    alone = true,
    roomBytes = Number.POSITIVE_INFINITY,
  ): { request: number; ranges: Range[] } | undefined {
    const empty = this.#asked.size === 0;
    let inFlight = this.#inFlight(nowMs);
    let left = roomBytes;
    const [first] = this.#waiting;
    if (first === undefined || first.length > left || inFlight > this.#low) return undefined;
    const sounds = alone && nowMs >= this.#soundAtMs;
    if (sounds && !empty) return undefined;
    this.#request += 1;
    const ranges: Range[] = [];
    while (this.#waiting[0] !== undefined && ranges.length < maxRangesPerRequest) {
      const [next] = this.#waiting;
      const needed = inFlight <= this.#low || (sounds && ranges.length < 2);
      if (next.length > left || (!needed && inFlight + next.length > this.#high)) break;
      this.#waiting.shift();
      ranges.push(next);
      this.#asked.set(next.offset, { ...next, askedMs: nowMs, request: this.#request });
      this.#askedBytes += next.length;
      inFlight += next.length;
      left -= next.length;
    }
    if (empty && alone) this.#sound(ranges.length, nowMs);
    else if (empty) this.#link.pause();
    return { request: this.#request, ranges };
  }

  /** When there will be room for a request if no frame ends before, in milliseconds from now; undefined for not before one does. */
  askInMs(nowMs: number): number | undefined {
    const [next] = this.#asked.values();
    const tooMuch = this.#askedBytes - this.#low;
    if (this.#waiting.length === 0 || next === undefined || tooMuch > next.length) return undefined;
    if (this.#link.bytesPerMs === 0 || nowMs >= this.#soundAtMs) return undefined;
    return Math.max(0, (tooMuch - this.#link.underWay(nowMs)) / this.#link.bytesPerMs);
  }

  /** Notes a frame; false when nobody waits for it: late, repeated, or of another length. */
  arrived(offset: number, length: number, nowMs: number): boolean {
    const asked = this.#asked.get(offset);
    if (asked === undefined || asked.length !== length) return false;
    this.#forget(asked);
    this.#link.arrived(asked.request, length, nowMs);
    this.#fit(asked, nowMs);
    return true;
  }

  /** Puts a range back that arrived damaged. */
  again(range: Range): void {
    this.#waiting.unshift(range);
  }

  /** Takes everything in flight back, as after a lost connection; the next one may take another way. */
  lost(): void {
    this.#takeBack([...this.#asked.values()]);
    this.#link = new LinkEstimate();
    this.#soundAtMs = Number.NEGATIVE_INFINITY;
    this.#starting = true;
    this.#low = this.#start.startBytes / 2;
    this.#high = this.#start.startBytes;
  }

  /** Takes overdue ranges back and halves the window if there were any; returns how many. */
  expire(nowMs: number): number {
    const overdue = [...this.#asked.values()].filter(({ askedMs }) => nowMs - askedMs >= this.timeoutMs());
    if (overdue.length === 0) return 0;
    this.#takeBack(overdue);
    this.#link.giveUp();
    this.#starting = false;
    this.#low /= 2;
    this.#high /= 2;
    return overdue.length;
  }

  /** How long to wait for a range before it counts as lost. */
  timeoutMs(): number {
    if (this.#smoothRttMs === undefined) return Math.max(2 * minTimeoutMs, this.#start.timeoutMs ?? 0);
    const drainMs = this.#link.bytesPerMs === 0 ? 0 : this.#high / this.#link.bytesPerMs;
    return Math.max(minTimeoutMs, 4 * this.#smoothRttMs + drainMs);
  }

  #takeBack(taken: readonly Asked[]): void {
    for (const asked of taken) this.#forget(asked);
    this.#waiting.unshift(...taken.map(({ offset, length }) => ({ offset, length })));
  }

  #forget(asked: Asked): void {
    this.#asked.delete(asked.offset);
    this.#askedBytes -= asked.length;
  }

  /** Bytes asked for and not here, as far as one can know while a frame is coming. */
  #inFlight(nowMs: number): number {
    const [next] = this.#asked.values();
    return next === undefined ? 0 : this.#askedBytes - Math.min(next.length, this.#link.underWay(nowMs));
  }

  #sound(frames: number, nowMs: number): void {
    this.#link.sound(this.#request, frames, nowMs);
    this.#soundAtMs = nowMs + Math.max(soundAgain.ms, soundAgain.roundTrips * (this.#link.roundTripMs ?? 0));
  }

  /** Makes the window fit the link; it grows by what has arrived, as TCP's does. */
  #fit({ askedMs, length }: Asked, nowMs: number): void {
    const rttMs = Math.max(1, nowMs - askedMs);
    this.#smoothRttMs = this.#smoothRttMs === undefined ? rttMs : 0.875 * this.#smoothRttMs + 0.125 * rttMs;
    const { roundTripMs, bytesPerMs, soundedBytesPerMs, unevenMs } = this.#link;
    if (roundTripMs === undefined) return;
    const waitedMs = rttMs - (2 * length) / bytesPerMs;
    if (waitedMs > 1.6 * roundTripMs) this.#starting = false;
    // A window that was too small for a while has made the mean small as well; what was sounded gets it out of that.
    const fullBytesPerMs = Math.max(bytesPerMs, soundedBytesPerMs);
    const enough =
      (roundTripMs + Math.max(roundTripMs * spare.share, spare.minMs)) * fullBytesPerMs + 2 * unevenMs * bytesPerMs;
    const wanted = this.#starting ? windowLimits.maxBytes : Math.min(enough, windowLimits.maxBytes);
    this.#low = Math.min(wanted, this.#low + length);
    this.#high = Math.min(windowLimits.maxBytes, this.#low + batchMs * bytesPerMs);
    this.#low = Math.min(this.#low, Math.max(this.#high - batchMs * bytesPerMs, this.#high / 2));
  }
}
