import { performance } from "node:perf_hooks";

/** The middle of an odd number of rounds, the lower middle of an even one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Milliseconds that each takes: medians of rounds in which they take turns, after one that does not count. */
export async function timesOf(
  rounds: number,
  ours: () => unknown,
  plain: () => unknown,
): Promise<{ ours: number; plain: number }> {
  const times = { ours: [] as number[], plain: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, work] of [["ours", ours] as const, ["plain", plain] as const]) {
      const beginMs = performance.now();
      await work();
      if (round > 0) times[name].push(performance.now() - beginMs);
    }
  }
  return { ours: median(times.ours), plain: median(times.plain) };
}

/** A figure beside what it is held against. */
export interface Comparison {
  readonly what: string;
  readonly ours: number;
  readonly plain: number;
  readonly unit: string;
}

/** Lines with both figures and ours ÷ plain. */
export function comparisonText(title: string, plainName: string, rows: readonly Comparison[]): string {
  const all = rows.map(({ plain, ...row }) => ({ ...row, others: [plain] }));
  return comparisonsText(title, [plainName], all);
}

/** A figure beside several that it is held against. */
export interface Comparisons extends Omit<Comparison, "plain"> {
  readonly others: readonly number[];
}

/** Lines with all figures, and behind each of the others ours ÷ it; `names` are those of the others. */
export function comparisonsText(title: string, names: readonly string[], rows: readonly Comparisons[]): string {
  const cells = rows.map(({ what, ours, others, unit }) => [
    what,
    `${figure(ours)} ${unit}`,
    ...others.flatMap((other) => [`${figure(other)} ${unit}`, `${figure(ours / other)}×`]),
  ]);
  const heads = ["", "Muster", ...names.flatMap((name) => [name, "ratio"])];
  const table = [heads, ...cells];
  const widths = heads.map((_, at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  const lines = table.map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  "),
  );
  return [title, ...lines.map((line) => `  ${line.trimEnd()}`)].join("\n");
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
