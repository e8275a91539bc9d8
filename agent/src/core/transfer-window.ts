/** A piece of a blob: offset and length in bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

interface Asked extends Range {
  readonly askedMs: number;
  readonly request: number;
}

export const windowLimits = { startBytes: 512 * 1024, minBytes: 256 * 1024, maxBytes: 4 * 1024 * 1024 };
const maxRangesPerRequest = 128;
const minTimeoutMs = 2000;
const halfLifeMs = 1000;

/**
 * Which ranges to ask for now. Keeps at most a window of bytes in flight: twice the bandwidth-delay
 * product, measured on the way, so that the link is full and control messages are not held up.
 * Ranges that do not arrive in time are asked for again and the window is halved.
 */
export class TransferWindow {
  readonly #waiting: Range[];
  readonly #asked = new Map<number, Asked>();
  #askedBytes = 0;
  #windowBytes = windowLimits.startBytes;
  #minRttMs = Number.POSITIVE_INFINITY;
  #smoothRttMs: number | undefined;
  #bytesPerMs = 0;
  #lastArrivalMs: number | undefined;
  #request = 0;

  constructor(ranges: readonly Range[]) {
    this.#waiting = [...ranges];
  }

  /** Whether every range has arrived. */
  get done(): boolean {
    return this.#waiting.length === 0 && this.#asked.size === 0;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** The next request, once half of the window is free; undefined when it is too early or all is asked for. */
  ask(nowMs: number): { request: number; ranges: Range[] } | undefined {
    if (this.#waiting.length === 0 || this.#askedBytes > this.#windowBytes / 2) return undefined;
    this.#request += 1;
    const ranges: Range[] = [];
    while (this.#waiting[0] !== undefined && ranges.length < maxRangesPerRequest) {
      const [next] = this.#waiting;
      if (this.#askedBytes > 0 && this.#askedBytes + next.length > this.#windowBytes) break;
      this.#waiting.shift();
      ranges.push(next);
      this.#asked.set(next.offset, { ...next, askedMs: nowMs, request: this.#request });
      this.#askedBytes += next.length;
    }
    return ranges.length === 0 ? undefined : { request: this.#request, ranges };
  }

  /** Notes a frame; false when nobody waits for it: late, repeated, or of another length. */
  arrived(offset: number, length: number, nowMs: number): boolean {
    const asked = this.#asked.get(offset);
    if (asked === undefined || asked.length !== length) return false;
    this.#forget(asked);
    this.#measure(asked, nowMs);
    return true;
  }

  /** Puts a range back that arrived damaged. */
  again(range: Range): void {
    this.#waiting.unshift(range);
  }

  /** Takes everything in flight back, as after a lost connection. */
  lost(): void {
    for (const asked of [...this.#asked.values()].reverse()) {
      this.#forget(asked);
      this.#waiting.unshift({ offset: asked.offset, length: asked.length });
    }
    this.#lastArrivalMs = undefined;
  }

  /** Takes overdue ranges back and halves the window if there were any; returns how many. */
  expire(nowMs: number): number {
    const overdue = [...this.#asked.values()].filter(({ askedMs }) => nowMs - askedMs >= this.timeoutMs());
    for (const asked of overdue.reverse()) {
      this.#forget(asked);
      this.#waiting.unshift({ offset: asked.offset, length: asked.length });
    }
    if (overdue.length > 0) this.#windowBytes = Math.max(windowLimits.minBytes, this.#windowBytes / 2);
    return overdue.length;
  }

  /** How long to wait for a range before it counts as lost. */
  timeoutMs(): number {
    if (this.#smoothRttMs === undefined) return 2 * minTimeoutMs;
    const drainMs = this.#bytesPerMs === 0 ? 0 : this.#windowBytes / this.#bytesPerMs;
    return Math.max(minTimeoutMs, 4 * this.#smoothRttMs + drainMs);
  }

  #forget(asked: Asked): void {
    this.#asked.delete(asked.offset);
    this.#askedBytes -= asked.length;
  }

  #measure({ askedMs, length }: Asked, nowMs: number): void {
    const rttMs = Math.max(1, nowMs - askedMs);
    this.#minRttMs = Math.min(this.#minRttMs, rttMs);
    this.#smoothRttMs = this.#smoothRttMs === undefined ? rttMs : 0.875 * this.#smoothRttMs + 0.125 * rttMs;
    const sinceMs = Math.max(1, nowMs - (this.#lastArrivalMs ?? askedMs));
    const weight = Math.min(1, sinceMs / halfLifeMs);
    const rate = length / sinceMs;
    this.#bytesPerMs = this.#bytesPerMs === 0 ? rate : (1 - weight) * this.#bytesPerMs + weight * rate;
    this.#lastArrivalMs = nowMs;
    const wanted = 2 * this.#minRttMs * this.#bytesPerMs;
    // Grows by what has arrived, as TCP's slow start does; shrinks only by time-outs.
    if (wanted > this.#windowBytes) this.#windowBytes = Math.min(windowLimits.maxBytes, this.#windowBytes + length);
  }
}
