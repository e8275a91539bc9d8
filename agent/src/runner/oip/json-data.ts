import type { DataType } from "@muster/shared";
import { floatToHalf, halfToFloat, type NamedTensor, newTensorData, type TensorData } from "@muster/shared/inference";

/** What each whole-number type holds. */
const ranges: Partial<Record<DataType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
  uint32: [0, 4_294_967_295],
  int32: [-2_147_483_648, 2_147_483_647],
  // JSON numbers beyond these are not exact; the binary extension takes them.
  uint64: [0, Number.MAX_SAFE_INTEGER],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};
/** A tensor has so many dimensions at most, and nested lists as many levels. */
const maxDepth = 8;

/**
 * The numbers of a JSON list, flat or nested, as a tensor's data. Returns what is wrong as text: another count than
 * `length`, or a value that the type does not hold.
 */
export function readJsonData(list: readonly unknown[], dtype: DataType, length: number): TensorData | string {
  const flat = flatten(list, length, 0);
  if (typeof flat === "string") return flat;
  if (flat.length !== length) return `has ${flat.length} numbers, expected ${length}`;
  const data = newTensorData(dtype, length) as unknown as (number | bigint)[];
  const convert = converterOf(dtype);
  for (let at = 0; at < length; at += 1) {
    const value = convert(flat[at]);
    if (value === undefined) return `has ${JSON.stringify(flat[at])?.slice(0, 40)} at ${at}, which is no ${dtype}`;
    data[at] = value;
  }
  return data as unknown as TensorData;
}

/** The numbers of a tensor as JSON text; what is not a number becomes null, for which JSON has no other word. */
export function jsonDataText({ dtype, data }: NamedTensor): string {
  if (dtype === "float32" || dtype === "float64") return JSON.stringify(Array.from(data as Float32Array));
  if (dtype === "float16") return JSON.stringify(Array.from(data as Uint16Array, halfToFloat));
  if (dtype === "bool") return JSON.stringify(Array.from(data as Uint8Array, (value) => value !== 0));
  // Not by JSON.stringify, which has no way to write a 64-bit number.
  return `[${data.join(",")}]`;
}

/** A flat list as it is, without a copy. */
function flatten(list: readonly unknown[], length: number, depth: number): readonly unknown[] | string {
  if (!list.some(Array.isArray)) return list;
  if (depth === maxDepth) return `is nested more than ${maxDepth} deep`;
  const flat: unknown[] = [];
  for (const item of list) {
    if (!Array.isArray(item)) return "mixes numbers and lists of numbers";
    const inner = flatten(item, length, depth + 1);
    if (typeof inner === "string") return inner;
    for (const value of inner) flat.push(value);
    if (flat.length > length) return `has more than the ${length} numbers expected`;
  }
  return flat;
}

/** Turns a JSON value into what the tensor's array takes, or undefined when the type does not hold it. */
function converterOf(dtype: DataType): (value: unknown) => number | bigint | undefined {
  if (dtype === "bool")
    return (value) => (typeof value === "boolean" || value === 0 || value === 1 ? Number(value) : undefined);
  const range = ranges[dtype];
  if (range === undefined) {
    const limit = dtype === "float32" ? 3.4028235677973366e38 : dtype === "float16" ? 65_520 : Number.POSITIVE_INFINITY;
    const stored = dtype === "float16" ? floatToHalf : (value: number) => value;
    return (value) => (typeof value === "number" && Math.abs(value) < limit ? stored(value) : undefined);
  }
  const [least, most] = range;
  const stored = dtype === "int64" || dtype === "uint64" ? BigInt : Number;
  return (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most ? stored(value) : undefined;
}
