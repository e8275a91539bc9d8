import type { RunnerStatus, RunnerWindow, Slot, TrialRequest, TrialResult } from "./runner/protocol.js";

/** The inference process, as the rest of the agent sees it. Every call throws `runner/crashed` if the process ends first. */
export interface Runner {
  /** Loads and warms up a version beside whatever serves. Throws `engine/failed`, `artifact/digest-mismatch`. */
  load(slot: Slot): Promise<void>;
  /** Puts a loaded version in service for its model, without an unanswered request. */
  activate(manifestDigest: string): Promise<void>;
  /** Releases a version; no error when it is not loaded. */
  unload(manifestDigest: string): Promise<void>;
  /** What was measured since the last call; at most one window per version that worked. */
  takeWindows(): Promise<RunnerWindow[]>;
  status(): Promise<RunnerStatus>;
}

/** Proves a version in a process of its own. Never throws for what the model does; see {@link TrialResult}. */
export type RunTrial = (
  request: TrialRequest,
  options: { timeoutMs: number; signal: AbortSignal },
) => Promise<TrialResult>;
