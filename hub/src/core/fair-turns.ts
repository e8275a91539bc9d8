/**
 * Who goes next when many want to go and only so many may at once: the one that has had the fewest bytes so far. What a
 * device did not use while it was away it cannot make up for, and what it had before it left is not held against it.
 *
 * Start-time fair queueing (Goyal, Vin, Cheng 1996): each turn starts at the virtual time at which the device's turn before
 * ended, or at that of the turn that began last when this is later, and ends so many bytes after. The earliest start goes
 * first. While two devices both want to go, what they were given differs by two turns at most, however large they ask.
 */
export class FairTurns {
  readonly #atOnce: number;
  /** Where each device's last turn ended, in virtual bytes. */
  readonly #ends = new Map<string, number>();
  readonly #waiting = new Map<string, { readonly startBytes: number; readonly bytes: number }>();
  readonly #going = new Set<string>();
  #nowBytes = 0;

  /** So many devices have a turn at the same time. */
  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Whether somebody has to wait. */
  get crowded(): boolean {
    return this.#waiting.size > 0;
  }

  /** Devices that something is remembered of; never many more than want to go. */
  get known(): number {
    return this.#ends.size;
  }

  /** A device wants to send so many bytes; it must not be waiting or going already. */
  ask(device: string, bytes: number): void {
    const startBytes = Math.max(this.#nowBytes, this.#ends.get(device) ?? 0);
    this.#waiting.set(device, { startBytes, bytes });
  }

  /** The device whose turn it is, and how much it asked for; undefined when nobody waits or nobody more may go. */
  next(): { readonly device: string; readonly bytes: number } | undefined {
    if (this.#going.size >= this.#atOnce) return undefined;
    let first: { device: string; startBytes: number; bytes: number } | undefined;
    for (const [device, turn] of this.#waiting)
      if (first === undefined || turn.startBytes < first.startBytes) first = { device, ...turn };
    if (first === undefined) return undefined;
    const { device, startBytes, bytes } = first;
    this.#waiting.delete(device);
    this.#going.add(device);
    this.#nowBytes = startBytes;
    this.#ends.set(device, startBytes + bytes);
    return { device, bytes };
  }

  /** A device has gone; the next may. */
  done(device: string): void {
    this.#going.delete(device);
    if (this.#ends.size <= 2 * (this.#waiting.size + this.#going.size) + this.#atOnce) return;
    // Nobody who waits or comes can start before now, so that an end before it says nothing.
    for (const [other, endBytes] of this.#ends) if (endBytes <= this.#nowBytes) this.#ends.delete(other);
  }
}
