import {
  type ExplainedDevice,
  formatDuration,
  type GateFigure,
  type NextStep,
  type ProgressState,
  type RolloutExplanation,
} from "@muster/shared";
import { type DeviceFacts, explainDevice } from "./explain-device.js";
import { gateFigures, soakFigure } from "./gate-figures.js";
import { evidence, type Progress, type RolloutRecord, type WaveRecord } from "./rollout.js";

/** What a rollout's record does not say of itself. */
export type Explanation = Omit<RolloutExplanation, "id" | "model" | "version">;

/** Which devices are explained. */
export interface Asked {
  readonly device?: string | undefined;
  readonly limit: number;
}

/**
 * Why a rollout is where it is, what its gates wait for, and what happens next; by the same rules as {@link advance}. `facts`
 * are those of a device.
 */
export function explain(
  rollout: RolloutRecord,
  progress: readonly Progress[],
  facts: (device: string) => DeviceFacts,
  asked: Asked,
  nowMs: number,
): Explanation {
  const found = rollout.waves.findIndex(({ state }) => state !== "passed");
  const at = found === -1 ? undefined : found;
  const wave = at === undefined ? undefined : rollout.waves[at];
  const sight = (device: string) => facts(device).sighting;
  const members = progress.filter((member) => member.wave === at);
  const gates =
    at === undefined || wave === undefined || isHalted(rollout)
      ? []
      : [
          ...gateFigures(rollout.settings, evidence(progress, at, sight)),
          soakFigure(wave, rollout.settings.soakMs, nowMs),
        ];
  const all = progress.map((member) => explainDevice(member, facts(member.device), rollout, at, nowMs));
  const chosen = asked.device === undefined ? all.filter(matters).sort(byWeight) : [];
  const devices =
    asked.device === undefined ? chosen.slice(0, asked.limit) : all.filter((one) => one.device === asked.device);
  return {
    ...{
      state: rollout.state,
      atMs: nowMs,
      why: whyOf(rollout, at, gates, all),
      next: nextOf(rollout, at, gates, all, nowMs),
    },
    ...(at === undefined || wave === undefined ? {} : { wave: waveOf(rollout, at, wave, members.length, gates) }),
    ...{ counts: countsOf(progress), devices, more: chosen.length - Math.min(chosen.length, asked.limit) },
  };
}

/** What the devices of a halted rollout showed is gone from them; the reason holds it. */
function isHalted({ state }: RolloutRecord): boolean {
  return state === "halted" || state === "rolling-back" || state === "rolled-back";
}

function waveOf({ waves }: RolloutRecord, at: number, wave: WaveRecord, devices: number, gates: GateFigure[]) {
  return { number: at + 1, of: waves.length, ...wave, devices, gates };
}

function whyOf(rollout: RolloutRecord, at: number | undefined, gates: GateFigure[], all: ExplainedDevice[]): string {
  const { state, reason } = rollout;
  const because = reason === undefined ? "" : `: ${reason}`;
  switch (state) {
    case "paused":
      return `no further wave begins because it is paused${because}`;
    case "halted":
    case "rolling-back": {
      const away = all.filter((one) => one.state === "withdrawn" && one.why !== "is back on what it had before");
      const reachable = away.filter(({ online }) => online).length;
      const rest = reachable === 0 ? "" : `; ${reachable} devices have not said yet that they are back`;
      return `it was halted, and the version is taken back${because}${rest}`;
    }
    case "rolled-back":
      return `it was halted, and the version was taken back${because}`;
    case "completed":
    case "completed-with-failures":
      return `it has ended${because}`;
    case "running":
      return at === undefined ? "all waves have passed" : runningText(rollout, at, gates, all);
  }
}

function runningText(
  { waves, settings }: RolloutRecord,
  at: number,
  gates: GateFigure[],
  all: ExplainedDevice[],
): string {
  const wave = `wave ${at + 1} of ${waves.length}`;
  const state = waves[at]?.state;
  if (state === "pending") return `${wave} is about to begin`;
  const failing = gates.find((gate) => gate.state === "fail");
  if (failing !== undefined) return `${wave} is about to fail: ${failing.text}`;
  const holding = all.filter(({ holdsUp }) => holdsUp);
  if (holding.length === 0) {
    if (gates.find(({ gate }) => gate === "finished")?.state === "wait") {
      return `${wave} waits: no device of it is reachable`;
    }
    return `${wave} has finished and is watched for ${formatDuration(settings.soakMs)}`;
  }
  const some = holding.slice(0, 3).map(({ device, why }) => `${device} ${why}`);
  const rest = holding.length > some.length ? `; and ${holding.length - some.length} more` : "";
  return `${wave} waits for ${holding.length === 1 ? "a device" : `${holding.length} devices`}: ${some.join("; ")}${rest}`;
}

function nextOf(
  { state, waves, settings }: RolloutRecord,
  at: number | undefined,
  gates: GateFigure[],
  all: ExplainedDevice[],
  nowMs: number,
): NextStep[] {
  const returning = all.filter((one) => one.state === "laggard").length;
  const later = returning === 0 ? [] : [{ what: `${returning} unreachable devices get the version when they return` }];
  const wave = at === undefined ? undefined : waves[at];
  if (state === "halted" || state === "rolling-back") {
    return [{ what: "ends when every reachable device is back on what it had before" }];
  }
  if (state === "rolled-back") return [];
  if (at === undefined || wave === undefined || state.startsWith("completed")) return later;
  if (state === "paused") return [{ what: "goes on after: muster rollout resume" }, ...later];
  const then = at + 1 < waves.length ? `wave ${at + 2} of ${waves.length} begins` : "the rollout is complete";
  if (wave.state === "pending") return [{ what: `wave ${at + 1} begins`, atMs: nowMs }];
  if (wave.soakingSinceMs !== undefined && gates.every((one) => one.gate === "soak" || one.state === "pass")) {
    return [{ what: then, atMs: wave.soakingSinceMs + settings.soakMs }, ...later];
  }
  const watch = settings.soakMs === 0 ? "" : `it is watched for ${formatDuration(settings.soakMs)}, then `;
  return [...firstTimeOut(all), { what: `once its devices have finished, ${watch}${then}` }, ...later];
}

/** The next of the times at which a device that holds the wave up will not any more. */
function firstTimeOut(all: readonly ExplainedDevice[]): NextStep[] {
  const times = all
    .filter(({ holdsUp }) => holdsUp)
    .flatMap(({ device, next }) =>
      next?.atMs === undefined ? [] : [{ what: `${device} ${next.what}`, atMs: next.atMs }],
    )
    .sort((a, b) => a.atMs - b.atMs);
  return times.slice(0, 1);
}

/** Those that are on their way, or did not come through; not those that wait for their wave or have done all there is. */
function matters({ state, holdsUp }: ExplainedDevice): boolean {
  return holdsUp || (state !== "committed" && state !== "waiting");
}

const weights: readonly ProgressState[] = [
  "failed",
  "withdrawn",
  "started",
  "offered",
  "waiting",
  "laggard",
  "committed",
];

function byWeight(a: ExplainedDevice, b: ExplainedDevice): number {
  const byState = weights.indexOf(a.state) - weights.indexOf(b.state);
  return Number(b.holdsUp) - Number(a.holdsUp) || byState || a.wave - b.wave || a.device.localeCompare(b.device);
}

function countsOf(progress: readonly Progress[]): RolloutExplanation["counts"] {
  const counts: Partial<Record<ProgressState, number>> = {};
  for (const { state } of progress) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
