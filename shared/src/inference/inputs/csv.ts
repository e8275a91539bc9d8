import { MusterError } from "../../errors.js";

/** Rows of fields. */
export interface CsvTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * Reads CSV (RFC 4180): a line of names, then as many fields on each line; quotes around fields with separators, quotes or line
 * breaks. The separator is the one of `,` `;` and tab that the first line has most of. Throws `input/invalid` with the line,
 * `input/too-large` past `maxRows`.
 */
export function readCsv(text: string, maxRows: number): CsvTable {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  const firstLine = body.slice(0, body.search(/[\r\n]|$/));
  const [separator = ","] = [",", ";", "\t"].sort((a, b) => firstLine.split(b).length - firstLine.split(a).length);
  const records = recordsOf(body, separator, maxRows + 1);
  const [header = [], ...rows] = records;
  if (header.every((name) => name.trim() === "")) {
    throw new MusterError("input/invalid", "the CSV is empty; its first line must hold the names of the columns");
  }
  const odd = rows.findIndex((row) => row.length !== header.length);
  if (odd !== -1) {
    const message = `row ${odd + 1} of the CSV has ${rows[odd]?.length} fields, the first line names ${header.length}`;
    throw new MusterError("input/invalid", message);
  }
  return { header: header.map((name) => name.trim()), rows };
}

function recordsOf(text: string, separator: string, most: number): string[][] {
  // One field: quoted, with its quotes doubled, or up to the next separator or line break; then what ends it.
  const field = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|([^"${separator}\\r\\n]*))(${separator}|\\r\\n|\\n|\\r|$)`, "y");
  const records: string[][] = [];
  let record: string[] = [];
  while (field.lastIndex < text.length || record.length > 0) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null) {
      throw new MusterError(
        "input/invalid",
        `row ${records.length} of the CSV has a quote that is not closed or stands alone (character ${at})`,
      );
    }
    const [, quoted, plain = "", end = ""] = match;
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === separator && end !== "") continue;
    // A line of nothing is no row.
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
    if (records.length > most) {
      throw new MusterError(
        "input/too-large",
        `the table has more than the ${most - 1} rows that are taken; send fewer`,
      );
    }
    if (end === "") break;
  }
  return records;
}
