import { formatBytes, type ProgressState, type Rollout } from "@muster/shared";
import { lasting } from "./time.js";

type Device = Rollout["waves"][number]["devices"][number];

/** Whether a rollout will not change by itself any more, but for devices that return later. */
export function hasEnded({ state }: Rollout): boolean {
  return state === "completed" || state === "completed-with-failures" || state === "rolled-back";
}

/** Whether the version did not pass: it was or is being taken back, or some devices failed. */
export function hasFailed({ state }: Rollout): boolean {
  return state !== "completed" && state !== "running" && state !== "paused";
}

/** All devices of a rollout. */
export function devicesOf({ waves }: Rollout): Device[] {
  return waves.flatMap(({ devices }) => devices);
}

/** How many devices are in a state. */
export function countOf(rollout: Rollout, state: ProgressState): number {
  return devicesOf(rollout).filter((device) => device.state === state).length;
}

/** The wave that is not done yet, from 0; undefined when all are. */
export function currentWave({ waves }: Rollout): number | undefined {
  const at = waves.findIndex(({ state }) => state !== "passed");
  return at === -1 ? undefined : at;
}

/** One line: where the rollout stands, how many devices have it, and what is being transferred. */
export function progressText(rollout: Rollout, nowMs: number): string {
  const devices = `${countOf(rollout, "committed")} of ${devicesOf(rollout).length} devices committed`;
  const failed = countOf(rollout, "failed");
  const parts = [
    waveText(rollout, nowMs),
    devices,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    transferText(rollout),
  ];
  return parts.filter((part) => part !== undefined).join(" · ");
}

/** The present wave, with the time left when it is only being watched. */
export function waveText(rollout: Rollout, nowMs: number): string {
  const at = currentWave(rollout);
  const wave = at === undefined ? undefined : rollout.waves[at];
  if (wave === undefined || rollout.state === "rolling-back" || rollout.state === "halted") return rollout.state;
  const place = `wave ${(at ?? 0) + 1} of ${rollout.waves.length}`;
  const pause = rollout.state === "paused" ? "paused, " : "";
  if (wave.state !== "soaking" || wave.soakingSinceMs === undefined) return `${pause}${place} ${wave.state}`;
  const leftMs = wave.soakingSinceMs + rollout.settings.soakMs - nowMs;
  return `${pause}${place} soaking, ${lasting(leftMs)} left`;
}

/** Bytes on their way to devices; undefined when there are none. */
function transferText(rollout: Rollout): string | undefined {
  const moving = devicesOf(rollout).filter(
    ({ state, phase, totalBytes }) => state === "started" && phase === "downloading" && totalBytes !== undefined,
  );
  if (moving.length === 0) return undefined;
  const sum = (of: (device: Device) => number | undefined) =>
    moving.reduce((all, device) => all + (of(device) ?? 0), 0);
  return `${formatBytes(sum(({ doneBytes }) => doneBytes))} of ${formatBytes(sum(({ totalBytes }) => totalBytes))}`;
}
