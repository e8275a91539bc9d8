import type { Clock, DeviceError } from "@muster/shared";
import type { Candidate } from "./state.js";
import type { TransferProgress } from "./transfer.js";

/** How far the running step is: a transfer, or a trial in words. */
export type Progress = TransferProgress | { readonly doing: string };

/** What is known of a model besides its durable state. */
export class Watch {
  loop: Promise<void> | undefined;
  /** Ends the running step when what is wanted changes. */
  abort = new AbortController();
  /** The attempt that the running step is for. */
  attempt: string | undefined;
  again = false;
  progress: Progress | undefined;
  probation: { fault?: DeviceError; inputs: number; errors: number } = { inputs: 0, errors: 0 };
  /** How the runner ended because of the committed version, and when. */
  faults: { readonly atMs: number; readonly error: DeviceError }[] = [];
  /** A file of the committed version is not on the disk as it should be. */
  damaged = false;
  /** Steps in a row that failed for reasons of the device. */
  failures = 0;
  #phase: { readonly of: string; readonly sinceMs: number } | undefined;

  /**
   * How long the candidate has been in its phase. The time of day counts only for what was before this process saw it
   * first: a clock that is set meanwhile neither ends a phase nor holds it up.
   */
  phaseMs(candidate: Candidate | undefined, clock: Clock): number {
    if (candidate === undefined) return 0;
    const of = `${candidate.attempt} ${candidate.phase} ${candidate.phaseSinceMs}`;
    if (this.#phase?.of !== of) {
      const beforeMs = Math.max(0, clock.now() - candidate.phaseSinceMs);
      this.#phase = { of, sinceMs: clock.steady() - beforeMs };
    }
    return clock.steady() - this.#phase.sinceMs;
  }
}
