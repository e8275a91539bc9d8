/**
 * Who goes next when many want to go and only so many may at once: the one that has had the fewest bytes so far. What a
 * device did not use while it was away it cannot make up for, and what it had before it left is not held against it.
 *
 * Start-time fair queueing (Goyal, Vin, Cheng 1996): each turn starts at the virtual time at which the device's turn before
 * ended, or at that of the turn that began last when this is later, and ends so many bytes after. The earliest start goes
 * first. While two devices both want to go, what they were given differs by two turns at most, however large they ask. A
 * device may want several turns at once; they are given in the order of asking, and count as those of one. When it is the
 * turn of a device that finds no place, nobody begins another turn: else devices whose turns overlap would never leave one.
 */
export class FairTurns {
  readonly #atOnce: number;
  /** Where each device's last turn ended, in virtual bytes. */
  readonly #ends = new Map<string, number>();
  /** Turns that each device wants: not before which virtual time, and of how many bytes. */
  readonly #waiting = new Map<string, { readonly notBefore: number; readonly bytes: number }[]>();
  /** How many turns each device has. */
  readonly #going = new Map<string, number>();
  #nowBytes = 0;

  /** So many devices have turns at the same time. */
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

  /** A device wants to send so many bytes. */
  ask(device: string, bytes: number): void {
    const line = this.#waiting.get(device) ?? [];
    this.#waiting.set(device, line);
    line.push({ notBefore: this.#nowBytes, bytes });
  }

  /** The device whose turn it is, and how much it asked for; undefined when nobody waits or nobody more may go. */
  next(): { readonly device: string; readonly bytes: number } | undefined {
    let first: { device: string; startBytes: number } | undefined;
    for (const [device, [turn]] of this.#waiting) {
      if (turn === undefined) continue;
      const startBytes = Math.max(turn.notBefore, this.#ends.get(device) ?? 0);
      if (first === undefined || startBytes < first.startBytes) first = { device, startBytes };
    }
    if (first === undefined) return undefined;
    const { device, startBytes } = first;
    if (this.#going.size >= this.#atOnce && !this.#going.has(device)) return undefined;
    const line = this.#waiting.get(device) ?? [];
    const bytes = line.shift()?.bytes ?? 0;
    if (line.length === 0) this.#waiting.delete(device);
    this.#going.set(device, (this.#going.get(device) ?? 0) + 1);
    this.#nowBytes = Math.max(this.#nowBytes, startBytes);
    this.#ends.set(device, startBytes + bytes);
    return { device, bytes };
  }

  /** A turn of a device is over; the next may begin. */
  done(device: string): void {
    const left = (this.#going.get(device) ?? 0) - 1;
    if (left > 0) this.#going.set(device, left);
    else this.#going.delete(device);
    if (this.#ends.size <= 2 * (this.#waiting.size + this.#going.size) + this.#atOnce) return;
    // Nobody who waits or comes can start before now, so that an end before it says nothing.
    for (const [other, endBytes] of this.#ends) if (endBytes <= this.#nowBytes) this.#ends.delete(other);
  }
}
