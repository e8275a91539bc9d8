import { formatDuration } from "@muster/shared";

/** A past time as a person says it: `3 min ago`. Times a little ahead, from another clock, are `just now`. */
export function ago(atMs: number | undefined, nowMs: number): string {
  if (atMs === undefined) return "never";
  const passedMs = nowMs - atMs;
  return passedMs < 1000 ? "just now" : `${lasting(passedMs)} ago`;
}

/** A duration in whole seconds and above. */
export function lasting(ms: number): string {
  return ms < 60_000 ? `${Math.max(0, Math.round(ms / 1000))} s` : formatDuration(ms);
}

/** Date and time in the local time zone: `2026-03-01 14:05:09`. */
export function localTime(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
