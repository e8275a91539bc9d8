import {
  formatDuration,
  type ProgressState,
  type RolloutSettings,
  type RolloutState,
  type WaveState,
} from "@muster/shared";
import { type Evidence, judge } from "./gate.js";

/** A rollout as it is stored, without its devices. */
export interface RolloutRecord {
  readonly state: RolloutState;
  readonly reason?: string | undefined;
  readonly settings: RolloutSettings;
  readonly waves: readonly WaveRecord[];
}
export interface WaveRecord {
  readonly state: WaveState;
  readonly startedMs?: number;
  readonly soakingSinceMs?: number;
}

/** Where one device of a rollout stands. */
export interface Progress {
  readonly device: string;
  readonly wave: number;
  readonly state: ProgressState;
  /** Attempts that have failed before this one. */
  readonly tries: number;
  /** Since when the offer could have been taken up; ahead of now for a device that is to wait so long before it is tried again. */
  readonly offeredMs?: number | undefined;
  readonly startedMs?: number | undefined;
  readonly error?: { readonly code: string; readonly detail: string } | undefined;
}

/** What the device says of this rollout's version; the facts `advance` works on. */
export interface Sighting {
  readonly online: boolean;
  /** Of the present attempt. */
  readonly attempt: "unseen" | "started" | "committed" | "failed";
  readonly error?: { readonly code: string; readonly detail: string } | undefined;
  /** Why the version of the present attempt runs on a slower provider than it was to; undefined when it does not. */
  readonly fellBack?: string | undefined;
  /** Whether the device is back on what it had before the rollout. */
  readonly restored: boolean;
}

/** What has to be told to a device because of a step. */
export type Order =
  | { readonly do: "offer"; readonly device: string; readonly tries: number }
  | { readonly do: "withdraw"; readonly device: string };

/** The rollout after a step: what to store, and what to tell devices. */
export interface Advance {
  readonly rollout: RolloutRecord;
  readonly progress: readonly Progress[];
  readonly orders: readonly Order[];
}

/** States in which a rollout may still change by itself or by its operator. */
export const activeStates: readonly RolloutState[] = ["running", "paused", "rolling-back", "halted"];

/** Whether a rollout may still change by itself or by its operator. */
export function isActive(state: RolloutState): boolean {
  return activeStates.includes(state);
}

/**
 * The next step of a rollout, from what is stored and what its devices say. Call it again whenever
 * something changed; without a change it returns what it was given. Order: device states first, then
 * the verdict on the current wave, then the move. Orders go out only when the result is stored.
 */
export function advance(
  rollout: RolloutRecord,
  before: readonly Progress[],
  seen: (device: string) => Sighting,
  nowMs: number,
): Advance {
  if (!isActive(rollout.state)) return { rollout, progress: awaited(rollout, before, seen, nowMs), orders: [] };
  if (rollout.state === "halted" || rollout.state === "rolling-back") return rollBack(rollout, before, seen);
  const orders: Order[] = [];
  const progress = before.map((device) => {
    const next = follow(device, seen(device.device), rollout, nowMs);
    if (next.tries > device.tries && next.state === "offered")
      orders.push({ do: "offer", device: next.device, tries: next.tries });
    return next;
  });
  const at = rollout.waves.findIndex(({ state }) => state !== "passed");
  const wave = rollout.waves[at];
  if (wave === undefined) return { rollout: finished(rollout, progress), progress, orders };
  if (rollout.state === "running" && progress.length > 0 && !progress.some((device) => device.wave === at))
    return withoutMembers(rollout, wave, at, progress);
  const verdict = judge(rollout.settings, evidence(progress, at, seen));
  if (verdict.kind === "fail" && wave.state !== "pending") {
    const waves = rollout.waves.with(at, { ...wave, state: "failed" });
    return {
      rollout: { ...rollout, state: "halted", reason: `wave ${at + 1}: ${verdict.reason}`, waves },
      progress,
      orders: [],
    };
  }
  if (rollout.state === "paused") return { rollout, progress, orders };
  if (wave.state === "pending") {
    const waves = rollout.waves.with(at, { ...wave, state: "running", startedMs: nowMs });
    const offered = progress.map((device): Progress => {
      if (device.wave !== at || device.state !== "waiting") return device;
      orders.push({ do: "offer", device: device.device, tries: device.tries });
      return { ...device, state: "offered", offeredMs: nowMs };
    });
    return { rollout: { ...rollout, waves }, progress: offered, orders };
  }
  // A device that joined late, into a wave that runs already, or one that has waited for room on its disk.
  const joined = progress.map((device): Progress => {
    if (device.wave > at || device.state !== "waiting" || (device.offeredMs ?? nowMs) > nowMs) return device;
    orders.push({ do: "offer", device: device.device, tries: device.tries });
    return { ...device, state: "offered", offeredMs: nowMs };
  });
  return { rollout: moveOn(rollout, wave, at, verdict.kind === "pass", nowMs), progress: joined, orders };
}

/**
 * A wave whose devices have all left the fleet or the selection: the next device takes their place, so that what they were to
 * show is shown; behind the last one there is nothing to show.
 */
function withoutMembers(rollout: RolloutRecord, wave: WaveRecord, at: number, progress: readonly Progress[]): Advance {
  const next = progress.reduce<Progress | undefined>(
    (first, device) => (device.wave > at && device.wave < (first?.wave ?? Number.POSITIVE_INFINITY) ? device : first),
    undefined,
  );
  if (next === undefined) {
    return {
      rollout: { ...rollout, waves: rollout.waves.with(at, { ...wave, state: "passed" }) },
      progress,
      orders: [],
    };
  }
  const moved = progress.map((device) => (device === next ? { ...device, wave: at } : device));
  return { rollout, progress: moved, orders: [] };
}

/** The rollout as the operator wants it; undefined when it cannot do that in its present state. */
export function command(rollout: RolloutRecord, action: "pause" | "resume" | "halt"): RolloutRecord | undefined {
  if (action === "pause" && rollout.state === "running")
    return { ...rollout, state: "paused", reason: "paused by an operator" };
  if (action === "resume" && rollout.state === "paused") return { ...rollout, state: "running", reason: undefined };
  if (action === "halt" && (rollout.state === "running" || rollout.state === "paused")) {
    return { ...rollout, state: "halted", reason: "halted by an operator" };
  }
  return undefined;
}

/** Once a rollout is complete, only devices that were unreachable still have something to say. */
function awaited(
  rollout: RolloutRecord,
  before: readonly Progress[],
  seen: (device: string) => Sighting,
  nowMs: number,
) {
  if (rollout.state === "rolled-back") return before;
  const settings = { ...rollout.settings, retries: 0 };
  const open: readonly ProgressState[] = ["laggard", "offered", "started"];
  return before.map((device) =>
    open.includes(device.state) ? follow(device, seen(device.device), { ...rollout, settings }, nowMs) : device,
  );
}

/** A device's own step: what it says, then retries, then being unreachable, then time. */
function follow(device: Progress, sighting: Sighting, { settings }: RolloutRecord, nowMs: number): Progress {
  if (device.state === "waiting" || device.state === "withdrawn" || device.state === "failed") return device;
  if (sighting.attempt === "committed") return { ...device, state: "committed", error: undefined };
  if (sighting.attempt === "failed") {
    const tried = { ...device, error: sighting.error };
    const again = device.state !== "committed" && device.tries < settings.retries;
    if (!again) return { ...tried, state: "failed", startedMs: device.startedMs ?? nowMs };
    const next = { ...tried, tries: device.tries + 1, startedMs: undefined };
    if (sighting.error?.code === "E_DISK")
      return { ...next, state: "waiting", offeredMs: nowMs + diskPauseMs(device.tries) };
    return { ...next, state: "offered", offeredMs: nowMs };
  }
  if (device.state === "committed" || (device.state === "laggard" && !sighting.online)) return device;
  const { inProgressTimeoutMs, shadowMs = 0 } = settings;
  return underWay(device, sighting, inProgressTimeoutMs + shadowMs, nowMs);
}

/** Trying again does not empty a disk: somebody, or time, has to make room. 5 min, 20 min, and an hour from then on. */
function diskPauseMs(tries: number): number {
  return Math.min(5 * 4 ** tries, 60) * 60_000;
}

/** A device that has not finished: how long it may take counts from its start, its offer, or its return. */
function underWay(device: Progress, { attempt, online }: Sighting, timeoutMs: number, nowMs: number): Progress {
  const begun = attempt === "started" || device.state === "started";
  if (!begun && !online) return { ...device, state: "laggard" };
  const sinceMs = begun ? device.startedMs : device.offeredMs;
  const fromMs = device.state === "laggard" ? nowMs : (sinceMs ?? nowMs);
  if (nowMs - fromMs < timeoutMs) {
    return begun
      ? { ...device, state: "started", startedMs: fromMs }
      : { ...device, state: "offered", offeredMs: fromMs };
  }
  if (!online) return { ...device, state: "laggard" };
  const detail = `${begun ? "not finished" : "did not take the offer up"} within ${formatDuration(timeoutMs)}`;
  return { ...device, state: "failed", error: { code: "E_TIMEOUT", detail }, startedMs: fromMs };
}

function moveOn(rollout: RolloutRecord, wave: WaveRecord, at: number, passed: boolean, nowMs: number): RolloutRecord {
  if (!passed) {
    if (wave.state !== "soaking") return rollout;
    // A laggard came back while the wave was watched: watch again once it is done.
    const { soakingSinceMs: _, ...rest } = wave;
    return { ...rollout, waves: rollout.waves.with(at, { ...rest, state: "running" }) };
  }
  if (wave.state === "running") {
    return { ...rollout, waves: rollout.waves.with(at, { ...wave, state: "soaking", soakingSinceMs: nowMs }) };
  }
  if (nowMs - (wave.soakingSinceMs ?? nowMs) < rollout.settings.soakMs) return rollout;
  return { ...rollout, waves: rollout.waves.with(at, { ...wave, state: "passed" }) };
}

function finished(rollout: RolloutRecord, progress: readonly Progress[]): RolloutRecord {
  const failed = progress.filter(({ state }) => state === "failed").length;
  const laggards = progress.filter(({ state }) => state === "laggard").length;
  const rest = laggards === 0 ? undefined : `${laggards} unreachable device(s) will be updated when they return`;
  if (failed === 0) return { ...rollout, state: "completed", reason: rest };
  const reason = [`${failed} device(s) failed`, rest].filter((part) => part !== undefined).join("; ");
  return { ...rollout, state: "completed-with-failures", reason };
}

/** Takes the version back from every device that was offered it, and waits until the reachable ones are back. */
function rollBack(rollout: RolloutRecord, before: readonly Progress[], seen: (device: string) => Sighting): Advance {
  const orders: Order[] = [];
  const progress = before.map((device): Progress => {
    const untouched = device.state === "waiting" && device.tries === 0;
    if (untouched || device.state === "withdrawn") return device;
    orders.push({ do: "withdraw", device: device.device });
    return { ...device, state: "withdrawn" };
  });
  const open = progress.filter(
    ({ device, state }) => state === "withdrawn" && seen(device).online && !seen(device).restored,
  );
  const state: RolloutState = orders.length > 0 || open.length > 0 ? "rolling-back" : "rolled-back";
  return { rollout: state === rollout.state ? rollout : { ...rollout, state }, progress, orders };
}

/** What a wave's devices, from 0, say for and against it. */
export function evidence(progress: readonly Progress[], wave: number, seen: (device: string) => Sighting): Evidence {
  const members = progress.filter((device) => device.wave === wave);
  const count = (...states: ProgressState[]) => members.filter(({ state }) => states.includes(state)).length;
  const fallen = members.filter(
    ({ device, state }) => (state === "started" || state === "committed") && seen(device).fellBack !== undefined,
  );
  const [fell] = fallen;
  const failure = members.find(({ state, error }) => state === "failed" && error !== undefined);
  return {
    devices: members.length,
    laggards: count("laggard"),
    started: count("started", "committed", "failed"),
    committed: count("committed"),
    failed: count("failed"),
    fellBack: fallen.length,
    ...(fell === undefined ? {} : { fallback: `${fell.device}: ${seen(fell.device).fellBack}` }),
    ...(failure?.error === undefined
      ? {}
      : { example: `${failure.device}: ${failure.error.code} ${failure.error.detail}` }),
  };
}
