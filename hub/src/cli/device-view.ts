import { type Device, formatBytes, type Reported } from "@muster/shared";
import { counted } from "./counted.js";
import { feedsText } from "./feed-view.js";
import { hardwareFields } from "./hardware-view.js";
import type { Session } from "./session.js";
import { type Cell, fields, indented, orDash, table } from "./table.js";
import { ago, lasting, localTime } from "./time.js";
import { trialText } from "./trial-view.js";

type View = Pick<Session, "style" | "nowMs">;
type Certificate = NonNullable<Device["certificates"]>[number];
type Model = Reported["models"][number];

const shownAttempts = 5;

/** Devices, one per line. */
export function deviceTable(devices: readonly Device[], { style, nowMs }: View): string {
  return table(
    [
      { title: "device", value: ({ id }) => id },
      { title: "state", value: (device) => presence(device, style) },
      { title: "serving", value: ({ reported }) => orDash(reported?.models.map(servingText).join(", ")) },
      { title: "provider", value: ({ reported }) => orDash(providersOf(reported).join(", ")) },
      { title: "labels", value: ({ labels }) => orDash(labelsText(labels)) },
      { title: "last seen", value: ({ lastSeenMs }) => ago(lastSeenMs, nowMs) },
    ],
    devices,
    style,
  );
}

/** All that is known of one device. */
export function deviceText(device: Device, view: View): string {
  const { style, nowMs } = view;
  const { hardware, reported, desired } = device;
  const state = presence(device, style);
  const about = fields(
    [
      ["device", { text: device.id, paint: style.bold }],
      ["state", { ...state, text: `${state.text}, last seen ${ago(device.lastSeenMs, nowMs)}` }],
      ["joined", localTime(device.joinedMs)],
      ["labels", orDash(labelsText(device.labels))],
      ...(device.certificates ?? []).map((each) => ["certificate", certificateText(each, view)] as [string, Cell]),
      ["agent", orDash(device.agentVersion)],
      ...(hardware === undefined ? [] : hardwareFields(hardware, style)),
      ["desired", `revision ${desired.revision}: ${orDash(desired.models.map(nameOf).join(", "))}`],
      ["reported", reported === undefined ? "nothing yet" : `revision ${reported.revision}, report ${reported.seq}`],
      ["refused", reported?.refusal === undefined ? undefined : { text: reported.refusal, paint: style.bad }],
      ["runner", reported && runnerText(reported)],
      ["spool", reported && spoolText(reported, style)],
    ],
    style,
  );
  const models = (reported?.models ?? []).map((model) => modelText(model, view));
  return [about, ...models, ...feedsText(reported?.sources ?? [], reported?.sinks ?? [], style)].join("\n\n");
}

function modelText(
  { model, serving, committed, candidate, finished, running, fallback, trial }: Model,
  { style, nowMs }: View,
): string {
  const latest = [...finished].sort((a, b) => b.atMs - a.atMs).slice(0, shownAttempts);
  const lines = fields(
    [
      ["serving", orDash(serving)],
      ["committed", committed === undefined ? "-" : committedText(committed)],
      ["running on", running && runningText(running, style)],
      ["fell back", fallback && { text: fallback.detail, paint: style.bad }],
      ["candidate", candidate && { text: candidateText(candidate), paint: style.warn }],
    ],
    style,
  );
  const attempts = table(
    [
      { title: "last attempts", value: ({ version }) => version },
      { title: "outcome", value: ({ outcome }) => paintedOutcome(outcome, style) },
      { title: "ended", value: ({ atMs }) => ago(atMs, nowMs) },
      { title: "error", value: ({ error }) => (error === undefined ? "" : `${error.code} ${error.detail}`) },
    ],
    latest,
    style,
  );
  const parts = [style.bold(model), indented(lines)];
  if (trial !== undefined) parts.push(indented(trialText(trial, style, nowMs)));
  if (latest.length > 0) parts.push(indented(attempts));
  return parts.join("\n");
}

function certificateText({ serial, expiresMs, revokedMs, reason }: Certificate, { style, nowMs }: View): Cell {
  if (revokedMs !== undefined && revokedMs <= nowMs) {
    return { text: `${serial}, refused since ${localTime(revokedMs)}: ${reason ?? "revoked"}`, paint: style.bad };
  }
  const until = Math.min(expiresMs, revokedMs ?? expiresMs);
  return `${serial}, valid until ${localTime(until)} (${lasting(until - nowMs)} from now)`;
}

/** Labels as they are written on the command line. */
export function labelsText(labels: Device["labels"]): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

function presence({ online }: Device, style: View["style"]) {
  return online ? { text: "online", paint: style.good } : { text: "offline", paint: style.warn };
}

function servingText({ model, serving, candidate }: Model): string {
  const next = candidate === undefined ? "" : ` (${candidate.version} ${candidate.phase})`;
  return `${model} ${serving ?? "none"}${next}`;
}

function providersOf(reported: Reported | undefined): string[] {
  return [...new Set((reported?.models ?? []).flatMap(({ committed }) => committed?.provider ?? []))];
}

function nameOf({ model, version }: { model: string; version: string }): string {
  return `${model} ${version}`;
}

function runnerText({ runner }: Reported): string {
  const { state, url, restarts, usage } = runner;
  const text = `${state}${url === undefined ? "" : ` at ${url}`}, ${counted(restarts, "restart")}`;
  if (usage === undefined) return text;
  const { workers, maxWorkers, queued, maxQueued, rssBytes, capBytes } = usage;
  const cap = capBytes === undefined ? "" : ` of ${formatBytes(capBytes)}`;
  const load = `${workers} of ${maxWorkers} engine threads, ${queued} of ${maxQueued} inputs wait`;
  return `${text}; ${load}, ${formatBytes(rssBytes)}${cap} memory`;
}

function spoolText({ spool }: Reported, style: View["style"]): Cell {
  const text = `${counted(spool.windows, "window")} and ${counted(spool.events, "event")} wait to be sent, ${spool.dropped} dropped`;
  return spool.dropped === 0 ? text : { text, paint: style.warn };
}

function committedText({ version, release, variant, provider, threads }: NonNullable<Model["committed"]>): string {
  return `${version} (release ${release}), ${variant} on ${provider} with ${counted(threads, "thread")}`;
}

function runningText({ requested, actual, reason }: NonNullable<Model["running"]>, style: View["style"]): Cell {
  if (requested === actual) return actual;
  return { text: `${actual}, not ${requested}: ${reason ?? "no reason is known"}`, paint: style.bad };
}

function candidateText({ version, phase, doneBytes, totalBytes, doing }: NonNullable<Model["candidate"]>): string {
  const bytes = totalBytes === undefined ? "" : `, ${formatBytes(doneBytes ?? 0)} of ${formatBytes(totalBytes)}`;
  return `${version} ${phase}${bytes}${doing === undefined ? "" : `, ${doing}`}`;
}

function paintedOutcome(outcome: Model["finished"][number]["outcome"], style: View["style"]): Cell {
  if (outcome === "committed") return { text: outcome, paint: style.good };
  const quiet = outcome === "cancelled" || outcome === "superseded";
  return quiet ? outcome : { text: outcome, paint: style.bad };
}
