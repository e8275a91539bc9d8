import type { Style } from "./style.js";

/** What stands in a table: text, and how to mark it once its width is known. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => Cell;
  /** Numbers stand at the right edge of their column. */
  readonly right?: boolean;
}

/** Rows under a line of titles, every column as wide as its widest cell. Ends without a line break. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: Style): string {
  const titles = columns.map(({ title }): Cell => ({ text: title.toUpperCase(), paint: style.dim }));
  const lines = [titles, ...rows.map((row) => columns.map(({ value }) => value(row)))];
  const widths = columns.map((_, at) => Math.max(...lines.map((cells) => widthOf(cells[at] ?? ""))));
  return lines
    .map((cells) =>
      cells.map((cell, at) => padded(cell, widths[at] ?? 0, columns[at]?.right === true, at === cells.length - 1)),
    )
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n");
}

/** One `name  value` per line, values aligned; undefined values are left out. */
export function fields(pairs: readonly (readonly [name: string, value: Cell | undefined])[], style: Style): string {
  const known = pairs.filter((pair): pair is readonly [string, Cell] => pair[1] !== undefined);
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known
    .map(([name, value]) => `${padded({ text: name, paint: style.dim }, width, false, false)}  ${shown(value)}`)
    .join("\n");
}

/** The text, or a dash where there is nothing to say. */
export function orDash(text: string | undefined): string {
  return text === undefined || text === "" ? "-" : text;
}

/** Every line moved to the right. */
export function indented(text: string, by = "  "): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : by + line))
    .join("\n");
}

function padded(cell: Cell, width: number, right: boolean, last: boolean): string {
  const space = " ".repeat(width - widthOf(cell));
  if (right) return space + shown(cell);
  return last ? shown(cell) : shown(cell) + space;
}

function shown(cell: Cell): string {
  return typeof cell === "string" ? oneLine(cell) : cell.paint(oneLine(cell.text));
}

function widthOf(cell: Cell): number {
  return [...oneLine(typeof cell === "string" ? cell : cell.text)].length;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}
