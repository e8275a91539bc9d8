import type { Clock } from "@muster/shared";
import { FairTurns } from "./core/fair-turns.js";
import { Pace } from "./core/pace.js";

/** What was not sent for so long because a timer came late may be made up for. */
const burstMs = 50;

/** Lets devices be served in a fair order, so many at once, and all together no faster than they may. */
export class ServingTurns {
  readonly #clock: Clock;
  readonly #turns: FairTurns;
  readonly #pace: Pace;
  /** Called when it is a device's turn, one after the other. */
  readonly #go = new Map<string, (() => void)[]>();
  #pausing = false;

  /** `bytesPerSecond` of all devices together; 0 for no limit. */
  constructor(clock: Clock, atOnce: number, bytesPerSecond: number) {
    this.#clock = clock;
    this.#turns = new FairTurns(atOnce);
    this.#pace = new Pace(bytesPerSecond, clock.steady(), (bytesPerSecond * burstMs) / 1000);
  }

  /** Whether somebody has to wait for a turn. */
  get crowded(): boolean {
    return this.#turns.crowded;
  }

  /** Resolves when the device may send so many bytes; then {@link done} has to follow. */
  take(device: string, bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#go.set(device, [...(this.#go.get(device) ?? []), resolve]);
      this.#turns.ask(device, bytes);
      this.#advance();
    });
  }

  /** The device's turn is over. */
  done(device: string): void {
    this.#turns.done(device);
    this.#advance();
  }

  #advance(): void {
    while (!this.#pausing) {
      const waitMs = this.#pace.waitMs(this.#clock.steady());
      if (waitMs > 0 && this.#turns.crowded) void this.#pause(waitMs);
      if (waitMs > 0) return;
      const next = this.#turns.next();
      if (next === undefined) return;
      // Taken only when the turn begins: a device that waits for something else holds up no other.
      this.#pace.take(next.bytes, this.#clock.steady());
      const [go, ...later] = this.#go.get(next.device) ?? [];
      if (later.length === 0) this.#go.delete(next.device);
      else this.#go.set(next.device, later);
      go?.();
    }
  }

  async #pause(waitMs: number): Promise<void> {
    this.#pausing = true;
    await this.#clock.sleep(waitMs);
    this.#pausing = false;
    this.#advance();
  }
}
