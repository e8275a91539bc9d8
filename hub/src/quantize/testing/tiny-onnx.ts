/** A constant of a hand-made model. */
export interface TinyTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /** The numbers as a list of floats and not as bytes. */
  readonly asList?: boolean;
}

/** An operation of a hand-made model. */
export interface TinyNode {
  readonly op: string;
  readonly inputs?: readonly string[];
  readonly outputs: readonly string[];
  readonly ints?: Readonly<Record<string, number>>;
  /** The attribute `value` of a `Constant`. */
  readonly value?: TinyTensor;
}

/** A hand-made model: one float32 input `x`, one float32 output `y`. */
export interface TinyModel {
  readonly irVersion?: number;
  readonly opset?: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** The name of the first dimension of both, when it is free. */
  readonly freeBatch?: string;
  readonly nodes: readonly TinyNode[];
  readonly initialisers?: readonly TinyTensor[];
  /** List the initialisers among the inputs too, as old exporters do. */
  readonly initialisersAsInputs?: boolean;
}

/** The model as an `.onnx` file, written without the library under test. Field numbers are those of onnx.proto3. */
export function tinyOnnx(model: TinyModel): Uint8Array {
  const { freeBatch } = model;
  const { irVersion = 8, opset = 13, input, output, nodes, initialisers = [], initialisersAsInputs = false } = model;
  const graph = [
    ...nodes.map((node) => message(1, nodeFields(node))),
    text(2, "tiny"),
    ...initialisers.map((tensor) => message(5, tensorFields(tensor))),
    message(11, valueFields("x", input, freeBatch)),
    ...(initialisersAsInputs ? initialisers : []).map(({ name, dims }) => message(11, valueFields(name, dims))),
    message(12, valueFields("y", output, freeBatch)),
  ];
  return Buffer.concat([number(1, irVersion), message(7, graph), message(8, [text(1, ""), number(2, opset)])]);
}

function nodeFields({ op, inputs = [], outputs, ints = {}, value }: TinyNode): Buffer[] {
  return [
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, op),
    ...Object.entries(ints).map(([name, i]) => message(5, [text(1, name), number(3, i), number(20, 2)])),
    ...(value === undefined ? [] : [message(5, [text(1, "value"), message(5, tensorFields(value)), number(20, 4)])]),
  ];
}

function tensorFields({ name, dims, data, asList = false }: TinyTensor): Buffer[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return [...dims.map((size) => number(1, size)), number(2, 1), chunk(asList ? 4 : 9, bytes), text(8, name)];
}

function valueFields(name: string, dims: readonly number[], freeBatch?: string): Buffer[] {
  const shape = dims.map((size, at) =>
    message(1, [at === 0 && freeBatch !== undefined ? text(2, freeBatch) : number(1, size)]),
  );
  return [text(1, name), message(2, [message(1, [number(1, 1), message(2, shape)])])];
}

const message = (field: number, parts: readonly Buffer[]) => chunk(field, Buffer.concat(parts));
const text = (field: number, value: string) => chunk(field, Buffer.from(value));
const number = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)]);

function chunk(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
