import {
  formatBytes,
  formatDuration,
  type ProgressState,
  type Rollout,
  type RolloutPlan,
  type WaveSize,
} from "@muster/shared";
import { counted } from "./counted.js";
import { countOf, currentWave, devicesOf, waveText } from "./rollout-progress.js";
import type { Session } from "./session.js";
import type { Style } from "./style.js";
import { type Cell, fields, indented, orDash, table } from "./table.js";
import { ago } from "./time.js";

type View = Pick<Session, "style" | "nowMs">;
type Line = Rollout["waves"][number]["devices"][number] & { readonly wave: number };

const order: readonly ProgressState[] = [
  "committed",
  "started",
  "offered",
  "waiting",
  "laggard",
  "failed",
  "withdrawn",
];

/** Rollouts, one per line. */
export function rolloutTable(rollouts: readonly Rollout[], { style, nowMs }: View): string {
  return table(
    [
      { title: "rollout", value: ({ id }) => id },
      { title: "model", value: ({ model, version }) => `${model} ${version}` },
      { title: "state", value: ({ state }) => paintedState(state, style) },
      {
        title: "wave",
        value: (rollout) => `${(currentWave(rollout) ?? rollout.waves.length - 1) + 1}/${rollout.waves.length}`,
      },
      {
        title: "committed",
        value: (rollout) => `${countOf(rollout, "committed")}/${devicesOf(rollout).length}`,
        right: true,
      },
      { title: "failed", value: (rollout) => String(countOf(rollout, "failed")), right: true },
      { title: "selector", value: ({ selector }) => orDash(selector) },
      { title: "started", value: ({ createdMs }) => ago(createdMs, nowMs) },
      { title: "reason", value: ({ reason }) => orDash(reason) },
    ],
    rollouts,
    style,
  );
}

/** One rollout: why it is where it is, its waves, and every device. */
export function rolloutText(rollout: Rollout, { style, nowMs }: View): string {
  const counts = order.map((state) => [state, countOf(rollout, state)] as const).filter(([, count]) => count > 0);
  const about = fields(
    [
      ["rollout", { text: rollout.id, paint: style.bold }],
      ["model", `${rollout.model} ${rollout.version}`],
      ["state", paintedState(rollout.state, style)],
      [
        "reason",
        rollout.reason === undefined ? undefined : { text: rollout.reason, paint: reasonPaint(rollout, style) },
      ],
      ["now", waveText(rollout, nowMs)],
      ["devices", `${devicesOf(rollout).length}: ${counts.map(([state, count]) => `${count} ${state}`).join(", ")}`],
      ["selector", rollout.selector === "" ? "all devices" : rollout.selector],
      ["started", ago(rollout.createdMs, nowMs)],
      ["changed", ago(rollout.changedMs, nowMs)],
      ...settingsFields(rollout.settings),
    ],
    style,
  );
  const lines = rollout.waves.flatMap(({ devices }, at) =>
    devices.map((device): Line => ({ ...device, wave: at + 1 })),
  );
  return [about, waveTable(rollout, { style, nowMs }), deviceTable(lines, style)].join("\n\n");
}

/** Who would get the version in which wave, who would not, and why. */
export function planText({ model, version, waves, skipped, settings }: RolloutPlan, style: Style): string {
  const total = waves.reduce((sum, devices) => sum + devices.length, 0);
  const head = `${style.bold(`${model} ${version}`)} would go to ${counted(total, "device")} in ${counted(waves.length, "wave")}:`;
  const parts = waves.map(
    (devices, at) => `wave ${at + 1}, ${counted(devices.length, "device")}\n${indented(wrapped(devices))}`,
  );
  const left = table(
    [
      { title: "skipped", value: ({ device }) => device },
      { title: "reason", value: ({ reason }) => ({ text: reason, paint: style.warn }) },
    ],
    skipped,
    style,
  );
  const rules = fields(settingsFields(settings), style);
  return [
    total === 0 ? "No device would get it." : head,
    ...parts,
    ...(skipped.length === 0 ? [] : [left]),
    rules,
  ].join("\n\n");
}

function waveTable({ waves }: Rollout, { style, nowMs }: View): string {
  return table(
    [
      { title: "wave", value: ({ wave }) => String(wave), right: true },
      { title: "state", value: ({ state }) => (state === "failed" ? { text: state, paint: style.bad } : state) },
      { title: "committed", value: ({ devices }) => `${committedIn(devices)}/${devices.length}`, right: true },
      { title: "started", value: ({ startedMs }) => (startedMs === undefined ? "-" : ago(startedMs, nowMs)) },
      {
        title: "soaking since",
        value: ({ soakingSinceMs }) => (soakingSinceMs === undefined ? "-" : ago(soakingSinceMs, nowMs)),
      },
    ],
    waves.map((wave, at) => ({ ...wave, wave: at + 1 })),
    style,
  );
}

function deviceTable(lines: readonly Line[], style: Style): string {
  return table(
    [
      { title: "device", value: ({ device }) => device },
      { title: "wave", value: ({ wave }) => String(wave), right: true },
      { title: "state", value: ({ state }) => paintedProgress(state, style) },
      { title: "phase", value: ({ phase }) => orDash(phase) },
      { title: "transfer", value: transferOf },
      { title: "retries", value: ({ tries }) => String(tries), right: true },
      { title: "error", value: ({ error }) => (error === undefined ? "" : `${error.code} ${error.detail}`) },
    ],
    lines,
    style,
  );
}

function settingsFields(settings: RolloutPlan["settings"]): [string, string][] {
  const { successPercent, errorPercent, fallbackPercent, minExecuted, inProgressTimeoutMs, retries } = settings;
  const limit = `${formatDuration(inProgressTimeoutMs)} per device, ${retries} retries`;
  return [
    ["waves", settings.waves.map(sizeText).join(", ")],
    ["passes", `with ${successPercent} % committed, after ${formatDuration(settings.soakMs)} of soaking`],
    [
      "halts",
      `with more than ${errorPercent} % failed, or ${fallbackPercent} % on a slower provider, from ${minExecuted} finished devices on`,
    ],
    ["limits", `${limit}, ${formatDuration(settings.probationMs)} of probation`],
  ];
}

function sizeText(size: WaveSize): string {
  return "devices" in size ? String(size.devices) : `${size.percent} %`;
}

function committedIn(devices: Rollout["waves"][number]["devices"]): number {
  return devices.filter(({ state }) => state === "committed").length;
}

function transferOf({ doneBytes, totalBytes }: Line): string {
  return totalBytes === undefined ? "-" : `${formatBytes(doneBytes ?? 0)} of ${formatBytes(totalBytes)}`;
}

function paintedState(state: Rollout["state"], style: Style): Cell {
  if (state === "completed") return { text: state, paint: style.good };
  if (state === "running") return state;
  return { text: state, paint: state === "paused" ? style.warn : style.bad };
}

function reasonPaint({ state }: Rollout, style: Style) {
  return state === "completed" || state === "paused" ? style.warn : style.bad;
}

function paintedProgress(state: ProgressState, style: Style): Cell {
  if (state === "committed") return { text: state, paint: style.good };
  if (state === "failed") return { text: state, paint: style.bad };
  return state === "laggard" || state === "withdrawn" ? { text: state, paint: style.warn } : state;
}

function wrapped(words: readonly string[], width = 96): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 2 <= width) lines[lines.length - 1] = `${last}, ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
