import { type Range, TransferWindow, windowLimits } from "./transfer-window.js";

/** A lane begins with two chunks: it is one of several, and there because a connection of its kind is slow. */
const laneStartBytes = 256 * 1024;

/** What is to be asked for next, and on which way: 0 is the device's own connection, others are its lanes. */
export interface WayAsk {
  readonly way: number;
  readonly request: number;
  readonly ranges: Range[];
}

/**
 * Spreads what is to be asked for over the ways there are. Each has a window of its own, as each is another TCP connection;
 * whoever has room takes the next ranges, so that a way that stands still holds up only what was asked for on it.
 */
export class TransferWays {
  readonly #waiting: Range[];
  readonly #windows = new Map<number, TransferWindow>();
  #leftBytes: number;

  constructor(ranges: readonly Range[]) {
    this.#waiting = [...ranges];
    this.#leftBytes = ranges.reduce((sum, { length }) => sum + length, 0);
  }

  /** Whether every range has arrived. */
  get done(): boolean {
    return this.#waiting.length === 0 && this.#all.every(({ askedBytes }) => askedBytes === 0);
  }

  /** Bytes that have not arrived. */
  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** The next request, once there is room for it on one of these ways; all together never have more in flight than one may. */
  ask(nowMs: number, ways: readonly number[]): WayAsk | undefined {
    for (const way of ways) {
      const window = this.#window(way);
      const alone = this.#all.every((other) => other === window || other.askedBytes === 0);
      // Lanes are never alone; they know the round trip that the device's own connection had when it was.
      const ask = window.ask(nowMs, way > 0 || alone, this.#roomBytes(way));
      if (ask !== undefined) return { way, ...ask };
    }
    return undefined;
  }

  /** When there will be room for a request if no frame ends before, in milliseconds from now; undefined for not before one does. */
  askInMs(nowMs: number, ways: readonly number[]): number | undefined {
    const [next] = this.#waiting;
    // Only a frame that ends makes room where all together have as much in flight as they may.
    if (next !== undefined && next.length > this.#roomBytes(0)) return undefined;
    const times = ways.flatMap((way) => this.#windows.get(way)?.askInMs(nowMs) ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Notes a frame; false when nobody waits for it: late, repeated, or of another length. */
  arrived(offset: number, length: number, nowMs: number): boolean {
    const awaited = this.#all.some((window) => window.arrived(offset, length, nowMs));
    if (awaited) this.#leftBytes -= length;
    return awaited;
  }

  /** Puts a range back that arrived damaged. */
  again(range: Range): void {
    this.#waiting.unshift(range);
    this.#leftBytes += range.length;
  }

  /** Takes everything in flight back, as after a lost connection, or after the loss of one way. */
  lost(way?: number): void {
    for (const [number, window] of this.#windows) {
      if (way !== undefined && number !== way) continue;
      window.lost();
      // A lane that is opened again is another connection.
      if (number > 0) this.#windows.delete(number);
    }
  }

  /** Takes overdue ranges back and halves the windows they were in; returns how many there were on which way. */
  expire(nowMs: number): { readonly way: number; readonly overdue: number }[] {
    return [...this.#windows].flatMap(([way, window]) => {
      const overdue = window.expire(nowMs);
      return overdue === 0 ? [] : [{ way, overdue }];
    });
  }

  /** How long to wait for a range before it counts as lost, on the way with the least patience. */
  timeoutMs(): number {
    return Math.min(...(this.#all.length === 0 ? [this.#window(0)] : this.#all).map((window) => window.timeoutMs()));
  }

  /** What may still be asked for, on a way; on the device's own connection alone its window is all there is. */
  #roomBytes(way: number): number {
    const askedBytes = this.#all.reduce((sum, window) => sum + window.askedBytes, 0);
    const alone = way === 0 && askedBytes === (this.#windows.get(0)?.askedBytes ?? 0);
    return alone ? Number.POSITIVE_INFINITY : windowLimits.maxBytes - askedBytes;
  }

  get #all(): TransferWindow[] {
    return [...this.#windows.values()];
  }

  #window(way: number): TransferWindow {
    const known = this.#windows.get(way);
    if (known !== undefined) return known;
    const own = this.#windows.get(0);
    const lane = { startBytes: laneStartBytes, roundTripMs: own?.roundTripMs, timeoutMs: own?.timeoutMs() };
    const window = new TransferWindow(this.#waiting, way === 0 ? windowLimits : lane);
    this.#windows.set(way, window);
    return window;
  }
}
