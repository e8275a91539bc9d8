import { formatDuration, type GateFigure, type RolloutSettings } from "@muster/shared";
import type { Evidence } from "./gate.js";
import type { WaveRecord } from "./rollout.js";

type Limits = Pick<RolloutSettings, "successPercent" | "errorPercent" | "minExecuted" | "fallbackPercent">;

/**
 * The conditions that {@link judge} puts together, each by itself: when one fails it says fail, else when one waits wait, and
 * pass when all pass.
 */
export function gateFigures(limits: Limits, seen: Evidence): GateFigure[] {
  const { devices, laggards, started, committed, failed, fellBack } = seen;
  const executed = committed + failed;
  const reachable = devices - laggards;
  const counted = Math.min(limits.minExecuted, reachable);
  const done = executed > 0 && executed >= reachable;
  const percent = (count: number) => (started === 0 ? 0 : (100 * count) / started);
  const [errors, fallen, success] = [percent(failed), percent(fellBack), percent(committed)];
  const over = (share: number, limit: number, enough: boolean) => {
    if (share <= limit) return "pass";
    return enough ? "fail" : "wait";
  };
  const unreachable = laggards === 0 ? "" : `; ${laggards} unreachable are not waited for`;
  const few = (share: number, limit: number, enough: boolean, what: string) =>
    share > limit && !enough ? `; counts from ${counted} ${what} on` : "";
  const errorsCount = executed >= counted;
  const fallbackCounts = started >= counted;
  return [
    {
      ...{ gate: "finished", state: done ? "pass" : "wait", value: executed, limit: reachable, unit: "devices" },
      text: `${executed} of ${reachable} reachable devices have finished${unreachable}`,
    },
    {
      ...{ gate: "errors", state: over(errors, limits.errorPercent, errorsCount), value: errors },
      ...{ limit: limits.errorPercent, unit: "percent" },
      text: `${failed} of ${started} started failed, ${share(errors)}; at most ${limits.errorPercent} % may${few(errors, limits.errorPercent, errorsCount, "finished")}`,
    },
    {
      ...{ gate: "fallback", state: over(fallen, limits.fallbackPercent, fallbackCounts), value: fallen },
      ...{ limit: limits.fallbackPercent, unit: "percent" },
      text: `${fellBack} of ${started} started run on a slower provider, ${share(fallen)}; at most ${limits.fallbackPercent} % may${few(fallen, limits.fallbackPercent, fallbackCounts, "started")}`,
    },
    {
      ...{ gate: "success", state: successState(done, success, limits), value: success },
      ...{ limit: limits.successPercent, unit: "percent" },
      text: `${committed} of ${started} started committed, ${share(success)}; at least ${limits.successPercent} % have to${done ? "" : ", once all have finished"}`,
    },
  ];
}

/** How long a finished wave has been watched. */
export function soakFigure({ soakingSinceMs }: WaveRecord, soakMs: number, nowMs: number): GateFigure {
  const value = soakingSinceMs === undefined ? 0 : Math.min(soakMs, Math.max(0, nowMs - soakingSinceMs));
  const text =
    soakingSinceMs === undefined
      ? `watched for ${formatDuration(soakMs)} once the wave has finished`
      : `watched for ${formatDuration(value)} of ${formatDuration(soakMs)}`;
  const state = soakingSinceMs !== undefined && value >= soakMs ? "pass" : "wait";
  return { gate: "soak", state, value, limit: soakMs, unit: "ms", text };
}

function successState(done: boolean, success: number, { successPercent }: Limits): GateFigure["state"] {
  if (!done) return "wait";
  return success < successPercent ? "fail" : "pass";
}

function share(percent: number): string {
  return `${Math.round(percent * 10) / 10} %`;
}
