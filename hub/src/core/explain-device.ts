import {
  type ExplainedDevice,
  formatBytes,
  formatDuration,
  type ReportedModel,
  type TrialReport,
} from "@muster/shared";
import type { Progress, RolloutRecord, Sighting } from "./rollout.js";

/** What the device says of its present attempt. */
export type Attempt = NonNullable<ReportedModel["candidate"]>;

/** What is known of a device beside its progress. */
export interface DeviceFacts {
  readonly sighting: Sighting;
  readonly lastSeenMs?: number | undefined;
  readonly candidate?: Attempt | undefined;
  /** The latest trial of this rollout's version there. */
  readonly trial?: TrialReport | undefined;
  /** Why the device refused what was last wanted of it. */
  readonly refusal?: string | undefined;
}

type Said = Pick<ExplainedDevice, "why" | "next">;

/** Why a device is where it is. `at` is the wave that is not done yet, from 0; undefined when all are. */
export function explainDevice(
  member: Progress,
  facts: DeviceFacts,
  rollout: RolloutRecord,
  at: number | undefined,
  nowMs: number,
): ExplainedDevice {
  const { device, wave, state, tries, error } = member;
  const { sighting, lastSeenMs, candidate, trial } = facts;
  const open = state === "offered" || state === "started" || (state === "waiting" && wave === at);
  return {
    ...{ device, wave: wave + 1, state, tries, holdsUp: wave === at && open, online: sighting.online },
    ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
    ...said(member, facts, rollout, nowMs),
    ...(candidate === undefined ? {} : { phase: candidate.phase }),
    ...(error === undefined ? {} : { error }),
    ...(sighting.fellBack === undefined ? {} : { fallback: sighting.fellBack }),
    ...(trial === undefined ? {} : { trial }),
  };
}

function said(member: Progress, facts: DeviceFacts, rollout: RolloutRecord, nowMs: number): Said {
  const { settings } = rollout;
  const { sighting, lastSeenMs } = facts;
  const silent = lastSeenMs === undefined ? "was never seen" : `has been silent for ${since(lastSeenMs, nowMs)}`;
  switch (member.state) {
    case "waiting":
      return waiting(member, rollout, nowMs);
    case "offered": {
      const refused = facts.refusal === undefined ? "" : `; it refused: ${facts.refusal}`;
      const asked = `was offered the version ${since(member.offeredMs, nowMs)} ago`;
      if (!sighting.online) return { why: `${asked} and ${silent}${refused}`, next: { what: "counts as unreachable" } };
      return { why: `${asked} and has not begun${refused}`, next: timeOut(member.offeredMs, rollout, true) };
    }
    case "started": {
      const away = sighting.online ? "" : `; it ${silent}`;
      return {
        why: `${phaseText(facts.candidate, settings)}${away}`,
        next: timeOut(member.startedMs, rollout, sighting.online),
      };
    }
    case "committed":
      return { why: "has taken the version over" };
    case "failed": {
      const what = member.error === undefined ? "failed" : `failed: ${member.error.code} ${member.error.detail}`;
      return {
        why: `${what}${member.tries === 0 ? "" : ` (after ${member.tries + 1} attempts)`}; it is not tried again`,
      };
    }
    case "laggard":
      return { why: `${silent}; the wave does not wait for it`, next: { what: "gets the version when it returns" } };
    case "withdrawn":
      return withdrawn(sighting, silent);
  }
}

function waiting({ wave, error, offeredMs, tries }: Progress, { state, waves }: RolloutRecord, nowMs: number): Said {
  if (offeredMs !== undefined && offeredMs > nowMs) {
    const why = error === undefined ? "is to be tried again" : `failed: ${error.code} ${error.detail}`;
    return { why, next: { what: `attempt ${tries + 1} begins`, atMs: offeredMs } };
  }
  const halted = state === "halted" || state === "rolling-back" || state === "rolled-back";
  if (halted) return { why: "was not offered the version; the rollout was halted before" };
  const before = waves.slice(0, wave).filter((one) => one.state !== "passed").length;
  if (before > 0) return { why: `is in wave ${wave + 1}, which begins when wave ${wave} has passed` };
  if (state === "paused") return { why: "waits for the rollout to be resumed" };
  return { why: "joined the wave", next: { what: "is offered the version", atMs: nowMs } };
}

function withdrawn({ restored, online }: Sighting, silent: string): Said {
  if (restored) return { why: "is back on what it had before" };
  if (!online) return { why: `is to go back and ${silent}`, next: { what: "goes back when it returns" } };
  return { why: "is to go back to what it had before, and has not said yet that it did" };
}

/** What time makes of a device that does not finish. */
function timeOut(
  fromMs: number | undefined,
  { settings: { inProgressTimeoutMs, shadowMs = 0 } }: RolloutRecord,
  online: boolean,
): Said["next"] {
  if (fromMs === undefined) return undefined;
  const what = online
    ? "fails with E_TIMEOUT unless it has finished, and is not tried again"
    : "counts as unreachable unless it has returned";
  return { what, atMs: fromMs + inProgressTimeoutMs + shadowMs };
}

function phaseText(candidate: Attempt | undefined, settings: RolloutRecord["settings"]): string {
  if (candidate === undefined) return "has begun and reported no step yet";
  const { phase, doneBytes = 0, totalBytes, paused, doing } = candidate;
  switch (phase) {
    case "offered":
      return "fetches the manifest";
    case "downloading": {
      const share = totalBytes === undefined ? "" : `, ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      return paused === undefined ? `downloads${share}` : `downloads nothing now: ${paused}${share}`;
    }
    case "verified":
      return "has the files and is about to try the version";
    case "trial":
      return doing === undefined ? "tries the version" : `tries the version: ${doing}`;
    case "proven":
      return "has proven the version and is about to run it";
    case "shadow":
      return `runs the version in the shadow of the serving one for ${formatDuration(settings.shadowMs)}`;
    case "probation":
      return `runs the version on probation for ${formatDuration(settings.probationMs)}`;
  }
}

function since(fromMs: number | undefined, nowMs: number): string {
  return formatDuration(Math.max(0, nowMs - (fromMs ?? nowMs)));
}
