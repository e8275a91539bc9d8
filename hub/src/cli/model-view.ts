import { formatBytes, formatDuration, type VersionView } from "@muster/shared";
import type { Session } from "./session.js";
import { fields, indented, orDash, table } from "./table.js";
import { ago, localTime } from "./time.js";

type View = Pick<Session, "style" | "nowMs">;

/** Versions, one per line. */
export function versionTable(versions: readonly VersionView[], { style, nowMs }: View): string {
  return table(
    [
      { title: "model", value: ({ model }) => model },
      { title: "version", value: ({ version }) => version },
      { title: "release", value: ({ release }) => String(release), right: true },
      { title: "variants", value: ({ manifest }) => manifest.variants.map(({ name }) => name).join(", ") },
      { title: "size", value: ({ sizeBytes }) => formatBytes(sizeBytes), right: true },
      { title: "devices", value: ({ devices }) => String(devices), right: true },
      { title: "pushed", value: ({ pushedMs }) => ago(pushedMs, nowMs) },
    ],
    versions,
    style,
  );
}

/** All there is to say of one version. */
export function versionText(view: VersionView, { style }: View): string {
  const { manifest } = view;
  const { selfTest, baseline, metadata } = manifest;
  const variants = table(
    [
      { title: "variant", value: ({ name }) => name },
      { title: "precision", value: ({ precision }) => precision },
      { title: "size", value: ({ artifact }) => formatBytes(artifact.sizeBytes), right: true },
      { title: "sha-256", value: ({ artifact }) => artifact.sha256 },
    ],
    manifest.variants,
    style,
  );
  const facts = fields(
    [
      ["version", { text: `${view.model} ${view.version}`, paint: style.bold }],
      ["release", String(view.release)],
      ["pushed", localTime(view.pushedMs)],
      ["devices", `${view.devices} have committed it`],
      ["manifest", view.manifestDigest],
      ["task", manifest.task],
      ["inputs", manifest.tensors.inputs.map(tensorText).join("; ")],
      ["outputs", manifest.tensors.outputs.map(tensorText).join("; ")],
      ["labels", labelsText(manifest)],
      ["self-test", `${selfTest.samples.length} samples, tolerance ${selfTest.tolerance}`],
      ["budgets", budgetsText(view)],
      ["batching", batchingText(view)],
      ["baseline", orDash(Object.keys(baseline).join(", "))],
      ["licence", manifest.licence],
      ...Object.entries(metadata).map(([key, value]) => [key, String(value)] as const),
    ],
    style,
  );
  return `${facts}\n\n${indented(variants)}`;
}

function tensorText({ name, dtype, shape }: VersionView["manifest"]["tensors"]["inputs"][number]): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}

function labelsText({ postprocess, files = [] }: VersionView["manifest"]): string | undefined {
  const [file] = files;
  if (file !== undefined) return `in ${file.path}, ${formatBytes(file.sizeBytes)}`;
  const labels = "labels" in postprocess ? postprocess.labels : undefined;
  if (labels === undefined) return undefined;
  const shown = labels.slice(0, 10).join(", ");
  return labels.length <= 10 ? shown : `${shown} and ${labels.length - 10} more`;
}

function batchingText({ manifest: { batching } }: VersionView): string {
  if (batching === undefined) return "as each device is configured";
  const { maxRows, maxDelayMs } = batching;
  if (maxRows === 1) return "none, each input runs alone";
  const wait = maxDelayMs === 0 ? "none waits for others" : `each waits up to ${formatDuration(maxDelayMs)} for others`;
  return `up to ${maxRows} inputs a run, ${wait}`;
}

function budgetsText({ manifest: { budgets } }: VersionView): string {
  const { p95LatencyMs, memoryMb } = budgets;
  const latency = p95LatencyMs === undefined ? [] : [`p95 latency ${formatDuration(p95LatencyMs)}`];
  return orDash([...latency, ...(memoryMb === undefined ? [] : [`memory ${memoryMb} MB`])].join(", "));
}
