import { MusterError } from "../../errors.js";
import { columnsByInput, type TablePreprocess } from "../../model/preprocess/table.js";
import type { Tensors } from "../../model/tensors.js";
import type { RowsInput } from "../decoded-input.js";
import type { FeatureValues } from "../features.js";
import type { InputSide } from "../pipeline.js";
import { expectInput } from "./input-kind.js";
import { readRows, tableLimits } from "./table-rows.js";
import { rowsTensor } from "./table-tensor.js";

/** The most inputs one body may hold; they share a run, and a run holds up everybody else. */
const maxInputs = 2000;

/** Rows of a table as inputs, or windows of a time series. */
export function tableInput(spec: TablePreprocess, tensors: Tensors): InputSide {
  const { columns, window } = spec;
  const groups = columnsByInput(columns, tensors);
  const inputs = tensors.inputs.map((tensor) => {
    const taken = (groups.get(tensor.name) ?? []).map((column) => ({ column, at: columns.indexOf(column) }));
    return { tensor, taken };
  });
  const featureOf = (name: string) => `column.${name}`;
  return {
    accepts: ["text/csv", "application/json"],
    states: [],
    decodesInPlace: true,
    featureKinds: Object.fromEntries(columns.map(({ name, categories }) => [featureOf(name), categories ?? "number"])),
    async decode(bytes) {
      const { data, rows, single } = readRows(bytes, columns);
      const size = window?.rows ?? 1;
      const stride = window?.stride ?? 1;
      if (rows < size) {
        throw new MusterError("input/invalid", `the series has ${rows} rows, the model looks at ${size}; send more`);
      }
      const count = Math.floor((rows - size) / stride) + 1;
      if (count > Math.min(maxInputs, tableLimits.maxNumbers / (size * columns.length))) {
        throw new MusterError(
          "input/too-large",
          `the table makes ${count} inputs of ${size} rows, which are more than are taken at a time; send fewer rows`,
        );
      }
      const cut = (at: number) => data.slice(at * stride * columns.length, (at * stride + size) * columns.length);
      const made = Array.from({ length: count }, (_, at): RowsInput => ({ kind: "rows", data: cut(at), rows: size }));
      return { inputs: made, list: !single };
    },
    toRuns(input) {
      const rows = expectInput(input, "rows");
      return [inputs.map(({ tensor, taken }) => rowsTensor(rows, taken, tensor, spec))];
    },
    features(input): FeatureValues {
      const { data, rows } = expectInput(input, "rows");
      const values = columns.map(({ name, categories }, at) => {
        const cells = Array.from({ length: rows }, (_, row) => data[row * columns.length + at] as number);
        // Of a window the last category, and the mean of numbers.
        if (categories !== undefined) return [featureOf(name), categories[cells.at(-1) ?? 0] ?? ""];
        return [featureOf(name), cells.reduce((a, b) => a + b, 0) / rows];
      });
      return Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value)));
    },
    blank() {
      const rows = window?.rows ?? 1;
      return { kind: "rows", data: new Float64Array(rows * columns.length), rows };
    },
  };
}
