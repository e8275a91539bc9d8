import { MusterError } from "../../errors.js";
import type { DataType } from "../../model/tensors.js";
import { bytesPerNumber, type NamedTensor, sizeOf, tensorDataOver } from "../named-tensor.js";

/** NumPy's names of the little-endian types. */
const types: Readonly<Record<string, DataType>> = {
  "<f4": "float32",
  "<f8": "float64",
  "<f2": "float16",
  "|u1": "uint8",
  "|i1": "int8",
  "<u2": "uint16",
  "<i2": "int16",
  "<u4": "uint32",
  "<i4": "int32",
  "<u8": "uint64",
  "<i8": "int64",
  "|b1": "bool",
};

/** Whether bytes begin as a NumPy file does. */
export function isNpy(bytes: Uint8Array): boolean {
  return [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59].every((byte, at) => bytes[at] === byte);
}

/** Reads a NumPy `.npy` file, versions 1 to 3, C order, little-endian. Throws `input/invalid`. */
export function readNpy(bytes: Uint8Array): Omit<NamedTensor, "name"> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 12) throw unfit("it is cut off");
  const long = view.getUint8(6) > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(long ? 12 : 10, start));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? "";
  const dtype = types[descr];
  if (dtype === undefined) throw unfit(`its type is '${descr}'; ${Object.keys(types).join(", ")} are taken`);
  if (!/'fortran_order':\s*False/.test(header)) throw unfit("it is in Fortran order; save numpy.ascontiguousarray(x)");
  const sizes = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1]?.match(/\d+/g);
  const shape = (sizes ?? []).map(Number);
  const length = sizeOf(shape);
  const sizeBytes = length * bytesPerNumber(dtype);
  if (shape.length > 8 || start + sizeBytes !== view.byteLength) {
    throw unfit(
      `it holds ${view.byteLength - start} bytes for shape [${shape.join(", ")}] of ${dtype}, which are ${sizeBytes}`,
    );
  }
  // Not slice: that of a Buffer does not copy.
  const own = new Uint8Array(bytes.subarray(start));
  return { dtype, shape, data: tensorDataOver(dtype, own.buffer, 0, length) };
}

function unfit(message: string): MusterError {
  return new MusterError("input/invalid", `the NumPy file cannot be read: ${message}`);
}
