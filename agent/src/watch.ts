import type { Clock, DeviceError } from "@muster/shared";
import { crashLoopCount, crashLoopMs, type Facts } from "./core/next-step.js";
import type { RunnerWindow } from "./runner/protocol.js";
import type { Candidate } from "./state.js";
import type { TransferProgress } from "./transfer.js";

/** How far the running step is: a transfer, or a trial in words. */
export type Progress = TransferProgress | { readonly doing: string };

interface Fault {
  readonly atMs: number;
  /** Nobody else can have been it. */
  readonly alone: boolean;
  readonly error: DeviceError;
}

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
  /** What the version in the shadow said. */
  shadow = { compared: 0, agreed: 0 };
  /** The runner has forgotten the version that was in the shadow or on probation. */
  lost = false;
  /** How the runner ended because of the committed version, and when. */
  faults: Fault[] = [];
  /** Manifests of installed versions of which a file is not on the disk as it should be. */
  readonly damaged = new Set<string>();
  /** Steps in a row that failed for reasons of the device. */
  failures = 0;
  #phase: { readonly of: string; readonly sinceMs: number } | undefined;

  /** The runner ended because of a version, at a steady time. */
  blamed(version: "candidate" | "committed", fault: Fault): void {
    if (version === "candidate") this.probation.fault ??= fault.error;
    else this.faults = [...this.faults.filter(({ atMs }) => fault.atMs - atMs <= crashLoopMs), fault];
  }

  /** What can be seen of the candidate and the committed version now; `beside` others or alone. */
  facts(
    candidate: Candidate | undefined,
    { clock, beside }: { clock: Clock; beside: boolean },
  ): Omit<Facts, "expired" | "runnerDown"> {
    const { probation, damaged, shadow, lost } = this;
    const recent = this.faults.filter(({ atMs }) => clock.steady() - atMs <= crashLoopMs);
    const recentFaults = recent.map(({ error }) => error);
    const harmsOthers = beside && recent.filter(({ alone }) => alone).length >= crashLoopCount;
    return { phaseMs: this.phaseMs(candidate, clock), probation, damaged, shadow, lost, recentFaults, harmsOthers };
  }

  /** What the candidate did in a window. */
  observed(
    phase: Candidate["phase"],
    { inputs, errors, shadow }: Pick<RunnerWindow, "inputs" | "errors" | "shadow">,
  ): void {
    if (phase === "shadow" && shadow !== undefined) {
      const { compared, agreed } = this.shadow;
      this.shadow = { compared: compared + shadow.compared, agreed: agreed + shadow.agreed };
    }
    if (phase !== "probation" || shadow !== undefined) return;
    this.probation.inputs += inputs;
    this.probation.errors += errors;
  }

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
