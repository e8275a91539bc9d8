import { MusterError } from "../../errors.js";
import type { Column } from "../../model/preprocess/table.js";
import { parseInputJson } from "./bounded-json.js";
import { readCsv } from "./csv.js";

/** The most a table may cost. */
export const tableLimits = { maxBytes: 5_000_000, maxRows: 100_000, maxNumbers: 4_000_000 };

/** Rows of numbers, row by row in the order of the columns, and whether there was one row as an object. */
export interface TableRows {
  readonly data: Float64Array;
  readonly rows: number;
  readonly single: boolean;
}

/**
 * Reads the columns out of CSV or JSON; categories become their place in the list. Throws `input/invalid` with the row and
 * the column, `input/too-large`.
 */
export function readRows(bytes: Uint8Array, columns: readonly Column[]): TableRows {
  const { maxBytes, maxNumbers } = tableLimits;
  const maxRows = Math.min(tableLimits.maxRows, Math.floor(maxNumbers / columns.length));
  if (bytes.length > maxBytes) {
    throw new MusterError("input/too-large", `the table has ${bytes.length} bytes, at most ${maxBytes} are taken`);
  }
  const text = new TextDecoder().decode(bytes);
  const { cells, count, single } = /^\s*[[{]/.test(text)
    ? fromJson(bytes, columns, maxRows)
    : fromCsv(text, columns, maxRows);
  if (count === 0) throw new MusterError("input/invalid", "the table has no rows");
  const data = new Float64Array(count * columns.length);
  for (let row = 0; row < count; row += 1) {
    for (const [at, column] of columns.entries()) {
      data[row * columns.length + at] = numberOf(cells(row, at), column, row);
    }
  }
  return { data, rows: count, single };
}

type Cells = (row: number, column: number) => unknown;

function fromCsv(text: string, columns: readonly Column[], maxRows: number) {
  const { header, rows } = readCsv(text, maxRows);
  const places = columns.map(({ name, missing }) => {
    const at = header.indexOf(name);
    if (at !== -1 || missing !== undefined) return at;
    const message = `there is no column '${name}'; the first line names ${header.slice(0, 20).join(", ")}`;
    throw new MusterError("input/invalid", message);
  });
  const cells: Cells = (row, column) => rows[row]?.[places[column] ?? -1];
  return { cells, count: rows.length, single: false };
}

function fromJson(bytes: Uint8Array, columns: readonly Column[], maxRows: number) {
  const value = parseInputJson(bytes);
  const single = !Array.isArray(value);
  const rows: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (rows.length > maxRows) {
    throw new MusterError("input/too-large", `the table has ${rows.length} rows, at most ${maxRows} are taken`);
  }
  const cells: Cells = (row, column) => {
    const one = rows[row];
    if (Array.isArray(one) && one.length === columns.length) return one[column];
    const name = columns[column]?.name ?? "";
    if (typeof one === "object" && one !== null && !Array.isArray(one))
      return Object.hasOwn(one, name) ? one[name as never] : undefined;
    const message = `row ${row + 1} must be an object with the columns, or an array of ${columns.length} values`;
    throw new MusterError("input/invalid", message);
  };
  return { cells, count: rows.length, single };
}

function numberOf(cell: unknown, column: Column, row: number): number {
  const { name, categories, missing } = column;
  const where = `column '${name}' of row ${row + 1}`;
  const text = typeof cell === "string" ? cell.trim() : cell;
  if (text === undefined || text === null || text === "") {
    if (missing === undefined) {
      throw new MusterError(
        "input/invalid",
        `${where} is missing; send it, or say what it counts as in preprocess.columns`,
      );
    }
    return categories === undefined
      ? missing === "nan"
        ? Number.NaN
        : Number(missing)
      : categories.indexOf(String(missing));
  }
  if (categories !== undefined) {
    const at = categories.indexOf(String(text));
    if (at !== -1) return at;
    if (missing !== undefined) return categories.indexOf(String(missing));
    const known = categories.slice(0, 10).join(", ");
    throw new MusterError("input/invalid", `${where} is '${String(text).slice(0, 50)}', which is none of ${known}`);
  }
  const number = typeof text === "boolean" ? Number(text) : typeof text === "string" ? Number(text) : text;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  throw new MusterError("input/invalid", `${where} is ${JSON.stringify(cell)?.slice(0, 50)}, expected a number`);
}
