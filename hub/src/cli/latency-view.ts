import { type LatencyRow, type Stage, stages } from "@muster/shared";
import type { Style } from "./style.js";
import { type Column, table } from "./table.js";

const shownClasses = 4;

/** A line per stage; only the first line of a row carries what belongs to all of them. */
interface Line {
  readonly row: LatencyRow;
  readonly stage: Stage;
  readonly first: boolean;
}

/** Latency per row: of the whole input, or of every stage of it. */
export function latencyTable(rows: readonly LatencyRow[], everyStage: boolean, style: Style): string {
  const wanted: readonly Stage[] = everyStage ? ["total", ...stages.filter((stage) => stage !== "total")] : ["total"];
  const lines = rows.flatMap((row) => {
    const measured = wanted.filter((stage, at) => at === 0 || row.stages[stage] !== undefined);
    return measured.map((stage, at): Line => ({ row, stage, first: at === 0 }));
  });
  const once = (title: string, text: (row: LatencyRow) => string, right = false): Column<Line> => ({
    title,
    value: ({ row, first }) => (first ? text(row) : ""),
    right,
  });
  return table(
    [
      once("device", ({ device }) => device ?? "all"),
      once("model", ({ model, version, shadow }) => `${model} ${version}${shadowText(shadow)}`),
      once("provider", ({ provider }) => provider),
      once("inputs", ({ inputs }) => String(inputs), true),
      {
        title: "errors",
        value: ({ row, first }) =>
          first ? { text: String(row.errors), paint: row.errors > 0 ? style.bad : plainText } : "",
        right: true,
      },
      once("dropped", ({ dropped }) => String(dropped), true),
      once("per second", ({ perSecond }) => perSecond.toFixed(1), true),
      ...(everyStage ? [{ title: "stage", value: ({ stage }: Line) => stage }] : []),
      ...(["p50", "p95", "p99"] as const).map(
        (name): Column<Line> => ({
          title: `${name} ms`,
          value: ({ row, stage }) => milliseconds(row.stages[stage]?.[name]),
          right: true,
        }),
      ),
      once("classes", ({ classes }) => classesText(classes)),
    ],
    lines,
    style,
  );
}

function shadowText(shadow: LatencyRow["shadow"]): string {
  if (shadow === undefined) return "";
  const { compared, agreed } = shadow;
  return ` (shadow: ${agreed} of ${compared} agree)`;
}

function classesText(classes: LatencyRow["classes"]): string {
  const counts = Object.entries(classes).sort(([, a], [, b]) => b - a);
  const shown = counts.slice(0, shownClasses).map(([name, count]) => `${name} ${count}`);
  const more = counts.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return "-";
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

function plainText(text: string): string {
  return text;
}
