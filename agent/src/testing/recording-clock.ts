import type { Clock } from "@muster/shared";
import { systemClock } from "@muster/shared/node";

/** The real clock, which notes how long anybody slept and shortens the sleeps. */
export class RecordingClock implements Clock {
  readonly sleepsMs: number[] = [];
  readonly #longestMs: number;

  /** No sleep takes longer than `longestMs`. */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  now(): number {
    return systemClock.now();
  }

  steady(): number {
    return systemClock.steady();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleepsMs.push(ms);
    return systemClock.sleep(Math.min(ms, this.#longestMs), signal);
  }
}
