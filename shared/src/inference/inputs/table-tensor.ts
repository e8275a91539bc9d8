import { type Column, columnWidth, type TablePreprocess } from "../../model/preprocess/table.js";
import type { TensorSpec } from "../../model/tensors.js";
import { floatToHalf, type NamedTensor, newTensorData } from "../named-tensor.js";

/** Rows before scaling: `columns` numbers each. */
export interface Rows {
  readonly data: Float64Array;
  readonly rows: number;
}

/** A column and where in a row it stands. */
export interface PlacedColumn {
  readonly column: Column;
  readonly at: number;
}

/** The tensor of one input: `[1, width]`, or with a window `[1, rows, width]` or `[1, width, rows]`. */
export function rowsTensor(
  { data, rows }: Rows,
  columns: readonly PlacedColumn[],
  { name, dtype }: TensorSpec,
  spec: TablePreprocess,
): NamedTensor {
  const width = columns.reduce((sum, { column }) => sum + columnWidth(column), 0);
  const stride = spec.columns.length;
  const turned = spec.window?.layout === "columns-first";
  const tensor = newTensorData(dtype, rows * width);
  const put = (row: number, at: number, value: number) => {
    const place = turned ? at * rows + row : row * width + at;
    if (tensor instanceof BigInt64Array || tensor instanceof BigUint64Array)
      tensor[place] = BigInt(Math.round(value || 0));
    else tensor[place] = dtype === "float16" ? floatToHalf(value) : value;
  };
  for (let row = 0; row < rows; row += 1) {
    let to = 0;
    for (const { column, at } of columns) {
      const value = data[row * stride + at] as number;
      const size = columnWidth(column);
      // The array is zeros already.
      if (size > 1 || column.oneHot) put(row, to + value, 1);
      else put(row, to, scaled(value, column));
      to += size;
    }
  }
  const shape = spec.window === undefined ? [1, width] : turned ? [1, width, rows] : [1, rows, width];
  return { name, dtype, shape, data: tensor };
}

function scaled(value: number, { mean, std, min, max }: Column): number {
  if (min !== undefined && max !== undefined) return (value - min) / (max - min);
  return (value - (mean ?? 0)) / (std ?? 1);
}
