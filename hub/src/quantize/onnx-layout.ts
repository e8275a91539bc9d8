import type { BlobStore } from "@muster/shared";

/** Where the numbers of a tensor lie in a model file. */
export interface TensorPlace {
  readonly name: string;
  /** ONNX data type and dimensions: tensors that differ in them are not compared. */
  readonly kind: string;
  readonly offset: number;
  readonly length: number;
  /** Bytes per number. */
  readonly width: 1 | 2 | 4;
}

/** ONNX `TensorProto.DataType` → bytes per number; what is missing is not compared. Eight-byte numbers go as halves. */
const widths: Readonly<Record<number, 1 | 2 | 4>> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 4,
  9: 1,
  10: 2,
  11: 4,
  16: 2,
};
const windowBytes = 64 * 1024;

/**
 * The places of all initialisers and constants with raw data of at least `minBytes`, in the order of the file. Walks the protobuf
 * fields and skips the data, so that a model of 4 GB costs some reads and no memory. Empty for what is no ONNX model.
 */
export async function tensorPlaces(store: BlobStore, digest: string, minBytes = 256): Promise<TensorPlace[]> {
  const sizeBytes = (await store.size(digest)) ?? 0;
  const walker = new Walker(store, digest, sizeBytes);
  const places: TensorPlace[] = [];
  try {
    for await (const graph of walker.fields(0, sizeBytes)) {
      if (graph.number !== 7 || graph.wire !== 2) continue;
      for await (const part of walker.fields(graph.offset, graph.offset + graph.length)) {
        if (part.wire !== 2) continue;
        const found =
          part.number === 5
            ? [await tensorPlace(walker, part)]
            : part.number === 1 && part.length >= minBytes
              ? await constantPlaces(walker, part)
              : [];
        for (const place of found) if (place !== undefined && place.length >= minBytes) places.push(place);
      }
    }
  } catch (error) {
    if (error instanceof NotProtobuf) return [];
    throw error;
  }
  return places.sort((a, b) => a.offset - b.offset);
}

/** `TensorProto`: dims 1, data_type 2, name 8, raw_data 9. */
async function tensorPlace(walker: Walker, { offset, length }: Field): Promise<TensorPlace | undefined> {
  let [name, type, raw]: [string, number, Field | undefined] = ["", 0, undefined];
  const dims: number[] = [];
  for await (const field of walker.fields(offset, offset + length)) {
    if (field.number === 1) dims.push(...(field.wire === 0 ? [field.value] : await walker.varints(field)));
    if (field.number === 2) type = field.value;
    if (field.number === 8) name = await walker.text(field);
    if (field.number === 9) raw = field;
  }
  const width = widths[type];
  if (raw === undefined || width === undefined || raw.length % width !== 0) return undefined;
  return { name, kind: `${type} ${dims.join(",")}`, offset: raw.offset, length: raw.length, width };
}

/** `NodeProto`: output 2, attribute 5; `AttributeProto`: t 5. A constant is named by what it puts out. */
async function constantPlaces(walker: Walker, node: Field): Promise<TensorPlace[]> {
  let output = "";
  const tensors: Field[] = [];
  for await (const field of walker.fields(node.offset, node.offset + node.length)) {
    if (field.number === 2) output = await walker.text(field);
    if (field.number !== 5 || field.wire !== 2) continue;
    for await (const part of walker.fields(field.offset, field.offset + field.length)) {
      if (part.number === 5 && part.wire === 2) tensors.push(part);
    }
  }
  const places: TensorPlace[] = [];
  for (const [at, tensor] of tensors.entries()) {
    const place = await tensorPlace(walker, tensor);
    if (place !== undefined) places.push({ ...place, name: `${output}#${at}` });
  }
  return places;
}

class NotProtobuf extends Error {}

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of a varint. */
  readonly value: number;
  /** Of bytes: where they lie. */
  readonly offset: number;
  readonly length: number;
}

/** Reads protobuf fields of a blob through a small window. */
class Walker {
  readonly #store: BlobStore;
  readonly #digest: string;
  readonly #sizeBytes: number;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(store: BlobStore, digest: string, sizeBytes: number) {
    this.#store = store;
    this.#digest = digest;
    this.#sizeBytes = sizeBytes;
  }

  async *fields(from: number, to: number): AsyncGenerator<Field> {
    for (let at = from; at < to; ) {
      const tag = await this.#varint(at, to);
      const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
      at = tag.end;
      if (wire === 0) {
        const { value, end } = await this.#varint(at, to);
        yield { number, wire, value, offset: at, length: end - at };
        at = end;
      } else if (wire === 2) {
        const { value: length, end } = await this.#varint(at, to);
        if (end + length > to) throw new NotProtobuf();
        yield { number, wire, value: 0, offset: end, length };
        at = end + length;
      } else if (wire === 1 || wire === 5) {
        const length = wire === 1 ? 8 : 4;
        yield { number, wire, value: 0, offset: at, length };
        at += length;
      } else throw new NotProtobuf();
    }
  }

  async text({ offset, length }: Field): Promise<string> {
    return (await this.#bytes(offset, Math.min(length, 1024))).toString("utf8");
  }

  /** Packed numbers. */
  async varints({ offset, length }: Field): Promise<number[]> {
    const numbers: number[] = [];
    for (let at = offset; at < offset + length; ) {
      const { value, end } = await this.#varint(at, offset + length);
      numbers.push(value);
      at = end;
    }
    return numbers;
  }

  async #varint(from: number, to: number): Promise<{ value: number; end: number }> {
    let value = 0;
    for (let at = from, scale = 1; at < to && at < from + 10; at += 1, scale *= 128) {
      const [byte = 0] = await this.#bytes(at, 1);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return { value, end: at + 1 };
    }
    throw new NotProtobuf();
  }

  async #bytes(offset: number, length: number): Promise<Buffer> {
    const end = this.#windowAt + this.#window.length;
    if (offset < this.#windowAt || offset + length > end) {
      if (offset + length > this.#sizeBytes) throw new NotProtobuf();
      this.#window = await this.#store.read(this.#digest, offset, Math.max(windowBytes, length));
      this.#windowAt = offset;
    }
    return this.#window.subarray(offset - this.#windowAt, offset - this.#windowAt + length);
  }
}
