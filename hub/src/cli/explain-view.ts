import {
  type ExplainedDevice,
  type GateFigure,
  maxExplained,
  type NextStep,
  type RolloutExplanation,
} from "@muster/shared";
import { counted } from "./counted.js";
import type { Session } from "./session.js";
import { fields, indented, table } from "./table.js";
import { ago, lasting, localTime } from "./time.js";
import { trialText } from "./trial-view.js";

type View = Pick<Session, "style" | "nowMs">;

/** Why a rollout is where it is: in a sentence, its gates, what comes next, and the devices that matter. */
export function explanationText(explanation: RolloutExplanation, view: View): string {
  const { id, model, version, state, why, next, wave, counts, devices, more } = explanation;
  const { style, nowMs } = view;
  const states = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  const about = fields(
    [
      ["rollout", { text: id, paint: style.bold }],
      ["model", `${model} ${version}`],
      ["state", state],
      ["why", { text: why, paint: state === "running" || state === "completed" ? (text: string) => text : style.warn }],
      ["devices", states.join(", ")],
      ...next.map((step, at) => [at === 0 ? "next" : "", nextText(step, nowMs)] as [string, string]),
    ],
    style,
  );
  const parts = [about];
  if (wave !== undefined) {
    const begun = wave.startedMs === undefined ? "" : `, begun ${ago(wave.startedMs, nowMs)}`;
    parts.push(`wave ${wave.number} of ${wave.of}, ${counted(wave.devices, "device")}, ${wave.state}${begun}`);
    if (wave.gates.length > 0) parts.push(indented(gateTable(wave.gates, style)));
  }
  if (devices.length > 0) parts.push(...devices.map((device) => deviceText(device, view)));
  if (more > 0) {
    const limit = Math.min(maxExplained, devices.length + more);
    parts.push(`and ${counted(more, "device")} more: --limit ${limit}`);
  }
  return parts.join("\n\n");
}

function gateTable(gates: readonly GateFigure[], style: View["style"]): string {
  const paints = { pass: style.good, wait: style.warn, fail: style.bad };
  return table(
    [
      { title: "gate", value: ({ gate }) => gate },
      { title: "verdict", value: ({ state }) => ({ text: state, paint: paints[state] }) },
      { title: "seen, against the limit", value: ({ text }) => text },
    ],
    gates,
    style,
  );
}

function deviceText(device: ExplainedDevice, { style, nowMs }: View): string {
  const { why, next, fallback, trial } = device;
  const lines = fields(
    [
      ["why", why],
      ["next", next && nextText(next, nowMs)],
      ["fell back", fallback && { text: fallback, paint: style.bad }],
    ],
    style,
  );
  const parts = [headOf(device, style), indented(lines)];
  if (trial !== undefined) parts.push(indented(trialText(trial, style, nowMs)));
  return parts.join("\n");
}

function headOf({ device, wave, state, phase, tries, holdsUp, online }: ExplainedDevice, style: View["style"]): string {
  const facts = [
    `wave ${wave}`,
    phase === undefined || phase === "offered" ? state : `${state} (${phase})`,
    ...(tries === 0 ? [] : [`attempt ${tries + 1}`]),
    ...(online ? [] : ["offline"]),
    ...(holdsUp ? ["the wave waits for it"] : []),
  ];
  return `${style.bold(device)}  ${facts.join(", ")}`;
}

function nextText({ what, atMs }: NextStep, nowMs: number): string {
  if (atMs === undefined) return what;
  return atMs <= nowMs ? `${what}, now` : `${what}, in ${lasting(atMs - nowMs)} (${localTime(atMs)})`;
}
