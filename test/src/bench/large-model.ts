import { randomBytes } from "node:crypto";

/** Tensors of a model that fill it to just under 4·10⁹ bytes. */
const tensors = 61;
const tensorBytes = 65_536_000;
const pieceBytes = 1_024_000;

/**
 * A model file of four gigabytes as an ONNX file is laid out, made piece by piece: tensors of random float32 numbers that are
 * the same in every process. In the second version some numbers have moved a little, as after a fine-tuning.
 */
export async function* largeModel(version: 1 | 2, random: Buffer): AsyncGenerator<Buffer> {
  const heads = Array.from({ length: tensors }, (_, at) => tensorHead(at));
  const graphBytes = heads.reduce((sum, head) => sum + head.length + tensorBytes, 0);
  yield Buffer.concat([Buffer.from([7 * 8 + 2]), varint(graphBytes)]);
  for (const [at, head] of heads.entries()) {
    yield head;
    for (let offset = 0; offset < tensorBytes; offset += pieceBytes) {
      const piece = Buffer.from(random.subarray(0, pieceBytes));
      // No two pieces are the same, so that none is found twice.
      for (let mark = 0; mark < pieceBytes; mark += 4096) piece.writeUInt32LE(at * tensorBytes + offset + mark, mark);
      if (version === 2) for (let low = 8; low < pieceBytes; low += 64) piece[low] = (piece[low] ?? 0) ^ 1;
      yield piece;
    }
  }
}

/** What {@link largeModel} is made of. */
export function largeModelSeed(): Buffer {
  return randomBytes(pieceBytes);
}

/** The start of `GraphProto.initializer`: a `TensorProto` up to its raw data. */
function tensorHead(at: number): Buffer {
  const name = Buffer.from(`weights-${String(at).padStart(3, "0")}`);
  const raw = Buffer.concat([Buffer.from([9 * 8 + 2]), varint(tensorBytes)]);
  const fields = [
    Buffer.concat([Buffer.from([1 * 8]), varint(tensorBytes / 4)]),
    Buffer.from([2 * 8, 1]),
    Buffer.concat([Buffer.from([8 * 8 + 2, name.length]), name]),
    raw,
  ];
  const body = Buffer.concat(fields);
  return Buffer.concat([Buffer.from([5 * 8 + 2]), varint(body.length + tensorBytes), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
  return Buffer.from(bytes.length === 0 ? [0] : bytes);
}
