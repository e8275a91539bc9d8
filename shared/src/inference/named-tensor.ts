import { MusterError } from "../errors.js";
import type { DataType } from "../model/tensors.js";

/** The numbers of a tensor: float16 as its bits, bool as 0 and 1. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>;

/** A tensor of a model by its name; `data` holds as many numbers as the product of `shape`, last dimension first. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const satisfies Record<DataType, unknown>;

/** Bytes of one number of a type. */
export function bytesPerNumber(dtype: DataType): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

/** How many numbers a tensor of a shape holds; 1 for a scalar, whose shape is empty. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** An array of zeros for a type. */
export function newTensorData(dtype: DataType, length: number): TensorData {
  return new arrays[dtype](length);
}

/** Whether this is an array for numbers of a type. */
export function holds(data: TensorData, dtype: DataType): boolean {
  return data instanceof arrays[dtype];
}

/** Bytes read as numbers of a type, in the machine's order; nothing is copied, so `offset` must be a multiple of the size. */
export function tensorDataOver(dtype: DataType, buffer: ArrayBuffer, offset = 0, length?: number): TensorData {
  return new arrays[dtype](buffer, offset, length);
}

/** The rows of several tensors of one name, type and row shape in one tensor, `[Σn, …]`. */
export function stackTensors(tensors: readonly NamedTensor[]): NamedTensor {
  const [first] = tensors;
  if (first === undefined) throw new RangeError("there is nothing to stack");
  if (tensors.length === 1) return first;
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const data = newTensorData(first.dtype, length);
  let at = 0;
  for (const tensor of tensors) {
    if (tensor.dtype !== first.dtype) throw new RangeError(`${first.dtype} and ${tensor.dtype} cannot be stacked`);
    data.set(tensor.data as never, at);
    at += tensor.data.length;
  }
  return { ...first, shape: [rows, ...first.shape.slice(1)], data };
}

/** The rows `from` up to `to` of a tensor `[n, …]`, without copying. */
export function rowsOf(tensor: NamedTensor, from: number, to: number): NamedTensor {
  const rowLength = tensor.data.length / (tensor.shape[0] ?? 1);
  const data = tensor.data.subarray(from * rowLength, to * rowLength) as TensorData;
  return { ...tensor, shape: [to - from, ...tensor.shape.slice(1)], data };
}

/** The same tensor in memory of its own, which may be handed to another thread. */
export function ownTensor(tensor: NamedTensor): NamedTensor {
  // Not slice: that of a Buffer does not copy.
  const data = newTensorData(tensor.dtype, tensor.data.length);
  data.set(tensor.data as never);
  return { ...tensor, data };
}

/** The numbers of a tensor as floats: float32 as it lies, all else converted. Throws `tensor/invalid` for none of that name. */
export function floatsOf(tensors: readonly NamedTensor[], name: string): Float32Array {
  const tensor = tensors.find((one) => one.name === name);
  if (tensor === undefined) throw new MusterError("tensor/invalid", `the model gave no output '${name}'`);
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (dtype === "float16") return Float32Array.from(data as Uint16Array, halfToFloat);
  return Float32Array.from(data as ArrayLike<number>, Number);
}

/** The value of IEEE 754 half precision bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the half precision number next to a value, ties to even; what is too large becomes infinite. */
export function floatToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // Below 2^-14 the step is that of the smallest exponent.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = toEven(size * 2 ** (10 - exponent));
  // A carry into the exponent is what the format's order of bits makes of it by itself.
  return sign | (((exponent + 14) << 10) + steps);
}

function toEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
