import { z } from "zod";
import type { Problem } from "../../errors.js";
import { fits, TensorName, type Tensors } from "../tensors.js";

const Column = z.strictObject({
  name: z.string().min(1).max(200),
  /** The texts a column of categories may hold; each becomes its place in this list. Absent for numbers. */
  categories: z.array(z.string().max(200)).min(1).max(10_000).optional(),
  /** One number per category, 1 for the one there is and 0 for all others, instead of its place in the list. */
  oneHot: z.boolean().default(false),
  /** What a missing value counts as: a number, or a category, or `nan`. Without it a missing value is an error. */
  missing: z.union([z.number(), z.string().max(200)]).optional(),
  /** A number v becomes (v − mean) / std … */
  mean: z.number().optional(),
  std: z.number().positive().optional(),
  /** … or (v − min) / (max − min). */
  min: z.number().optional(),
  max: z.number().optional(),
  /** The model's input that takes the column; the first one unless given. */
  input: TensorName.optional(),
});
export type Column = z.infer<typeof Column>;

/** How rows of a table, or windows of a time series, become tensors. */
export const TablePreprocess = z.strictObject({
  /** CSV with a line of names, or JSON: one row as an object, or an array of rows. */
  decode: z.literal("table"),
  /** In the order of the model's input. Columns that are not named are left out. */
  columns: z.array(Column).min(1).max(256),
  /** For a time series: how many rows one input has, and how many rows further the next begins. */
  window: z
    .strictObject({
      rows: z.int().min(1).max(100_000),
      stride: z.int().min(1).max(100_000),
      /** `[n, rows, columns]` or `[n, columns, rows]`. */
      layout: z.enum(["rows-first", "columns-first"]).default("rows-first"),
    })
    .optional(),
});
export type TablePreprocess = z.infer<typeof TablePreprocess>;

/** How many numbers a column becomes. */
export function columnWidth({ categories, oneHot }: Column): number {
  return categories !== undefined && oneHot ? categories.length : 1;
}

/** The columns of each input of the model, in order. */
export function columnsByInput(columns: readonly Column[], { inputs }: Tensors): Map<string, Column[]> {
  const groups = new Map<string, Column[]>();
  for (const column of columns) {
    const name = column.input ?? inputs[0]?.name ?? "";
    groups.set(name, [...(groups.get(name) ?? []), column]);
  }
  return groups;
}

/** Where rows do not fit the model's inputs, and columns contradict themselves. */
export function tableProblems({ columns, window }: TablePreprocess, tensors: Tensors): Problem[] {
  const problems = columns.flatMap((column, at) => columnProblems(column, at, columns));
  const groups = columnsByInput(columns, tensors);
  for (const [name] of groups) {
    if (tensors.inputs.some((input) => input.name === name)) continue;
    const at = columns.findIndex(({ input }) => input === name);
    problems.push({ field: `preprocess.columns[${at}].input`, message: `there is no '${name}' in tensors.inputs` });
  }
  for (const [at, input] of tensors.inputs.entries()) {
    const width = (groups.get(input.name) ?? []).reduce((sum, column) => sum + columnWidth(column), 0);
    const rows = window?.rows ?? 1;
    const [a, b] = window?.layout === "columns-first" ? [width, rows] : [rows, width];
    const wanted = window === undefined ? ["n", width] : ["n", a, b];
    if (width > 0 && fits(input.shape, wanted)) continue;
    const made = width === 0 ? "nothing" : `[${wanted.join(", ")}]`;
    const message = `is [${input.shape.join(", ")}], but preprocess.columns make ${made} for '${input.name}'`;
    problems.push({ field: `tensors.inputs[${at}].shape`, message });
  }
  return problems;
}

function columnProblems(column: Column, at: number, columns: readonly Column[]): Problem[] {
  const field = `preprocess.columns[${at}]`;
  const problems: Problem[] = [];
  const { name, categories, missing, mean, std, min, max } = column;
  if (columns.findIndex((other) => other.name === name) < at) {
    problems.push({ field: `${field}.name`, message: `'${name}' is there twice` });
  }
  const byRange = min !== undefined || max !== undefined;
  if (byRange && (mean !== undefined || std !== undefined)) {
    problems.push({ field, message: "has both mean/std and min/max; give one of them" });
  } else if (byRange && !((min ?? 0) < (max ?? 0))) {
    problems.push({ field, message: "needs min and max, min below max" });
  }
  if (categories === undefined && typeof missing === "string" && missing !== "nan") {
    problems.push({ field: `${field}.missing`, message: "of a column of numbers must be a number or nan" });
  }
  if (categories !== undefined && missing !== undefined && !categories.includes(String(missing))) {
    problems.push({ field: `${field}.missing`, message: `'${missing}' is none of the categories` });
  }
  if (categories !== undefined && (byRange || mean !== undefined || std !== undefined)) {
    problems.push({ field, message: "has categories, which are not scaled; remove mean, std, min and max" });
  }
  return problems;
}
