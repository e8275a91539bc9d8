import { MusterError, messageOf } from "@muster/shared";
import type { onnx } from "onnx-proto";
import onnxProto from "onnx-proto";

const { ModelProto, TensorProto, AttributeProto } = onnxProto.onnx;
const { FLOAT, INT8 } = TensorProto.DataType;

/** One operation of a graph. */
export interface OnnxNode {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Its whole-number attributes. */
  readonly ints: Readonly<Record<string, number>>;
}

/** A constant of float32 numbers, row-major. */
export interface FloatTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** A constant to add to a graph. */
export interface NewTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | Int8Array;
}

/** The last IR version whose model functions this reader knows in full. */
const lastIrWithKnownFunctions = 8;

/** Reads an ONNX model. Throws `bundle/model-unreadable` when the bytes are none. */
export function readOnnx(bytes: Uint8Array): OnnxModel {
  let proto: onnx.ModelProto;
  try {
    proto = ModelProto.decode(bytes);
  } catch (cause) {
    throw unreadable(`the bytes are damaged or something else (${messageOf(cause)})`, cause);
  }
  return new OnnxModel(proto);
}

/** The model as the bytes of an `.onnx` file. */
export function writeOnnx(model: OnnxModel): Uint8Array {
  return model.encode();
}

/** An ONNX model that can be looked at and changed. Subgraphs (`If`, `Loop`) are kept as they are. */
export class OnnxModel {
  readonly irVersion: number;
  /** Version of the default operator set. */
  readonly opset: number;
  readonly #proto: onnx.ModelProto;
  readonly #graph: onnx.IGraphProto;

  /** Takes what was decoded. Throws `bundle/model-unreadable` when a part that every model has is missing. */
  constructor(proto: onnx.ModelProto) {
    const { graph } = proto;
    if (!graph?.node?.length) throw unreadable("the file has no graph of operations");
    const opset = proto.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx" || domain == null);
    if (opset === undefined) throw unreadable("the file names no version of the ONNX operator set");
    this.irVersion = Number(proto.irVersion);
    this.opset = Number(opset.version);
    if (proto.functions.length > 0 && this.irVersion > lastIrWithKnownFunctions) {
      throw unreadable(`the file has model functions of IR version ${this.irVersion}; inline them when exporting`);
    }
    this.#proto = proto;
    this.#graph = graph;
  }

  /** The operations, each after those it depends on. */
  nodes(): OnnxNode[] {
    return listOf(this.#graph.node).map(toNode);
  }

  /** Whether a constant, input or result has this name. */
  has(name: string): boolean {
    const { input, initializer, node } = this.#graph;
    return (
      listOf(input).some((value) => value.name === name) ||
      listOf(initializer).some((tensor) => tensor.name === name) ||
      listOf(node).some(({ output }) => output?.includes(name))
    );
  }

  /**
   * The constant of this name, be it an initialiser or the result of a `Constant`; undefined when there is none,
   * or it is not float32, or it is stored outside of the file. Throws `bundle/model-unreadable` when it is damaged.
   */
  floats(name: string): FloatTensor | undefined {
    const tensor = this.#constant(name);
    if (tensor?.dataType !== FLOAT || tensor.dataLocation === TensorProto.DataLocation.EXTERNAL) return undefined;
    const dims = listOf(tensor.dims).map(Number);
    const data = floatsOf(tensor);
    const wanted = dims.reduce((product, size) => product * size, 1);
    if (data.length === wanted) return { dims, data };
    throw unreadable(`'${name}' has ${data.length} numbers, but its shape [${dims.join(", ")}] needs ${wanted}`);
  }

  /** Gives a float32 constant other numbers; shape and type stay. Throws RangeError when their count differs. */
  setFloats(name: string, data: Float32Array): void {
    const tensor = this.#constant(name);
    const old = this.floats(name);
    if (tensor === undefined || old?.data.length !== data.length) {
      throw new RangeError(`'${name}' is no float32 constant of ${data.length} numbers`);
    }
    tensor.floatData = [];
    tensor.rawData = rawBytes(data);
  }

  /** Removes a constant and computes the value of its name by these operations on these new constants instead. */
  replaceConstant(name: string, tensors: readonly NewTensor[], nodes: readonly OnnxNode[]): void {
    const graph = this.#graph;
    graph.initializer = listOf(graph.initializer).filter((tensor) => tensor.name !== name);
    // Old exporters list initialisers among the inputs too, where a computed value may not stand.
    graph.input = listOf(graph.input).filter((input) => input.name !== name);
    const others = listOf(graph.node).filter(({ opType, output }) => opType !== "Constant" || output?.[0] !== name);
    graph.node = [...nodes.map(fromNode), ...others];
    for (const tensor of tensors) this.#add(tensor);
  }

  /** The model as bytes. */
  encode(): Uint8Array {
    return ModelProto.encode(this.#proto).finish();
  }

  #add({ name, dims, data }: NewTensor): void {
    const dataType = data instanceof Int8Array ? INT8 : FLOAT;
    const graph = this.#graph;
    graph.initializer = [...listOf(graph.initializer), { name, dims: [...dims], dataType, rawData: rawBytes(data) }];
    if (this.irVersion >= 4) return;
    // Before IR version 4 every initialiser has to be an input as well.
    const shape = { dim: dims.map((dimValue) => ({ dimValue })) };
    graph.input = [...listOf(graph.input), { name, type: { tensorType: { elemType: dataType, shape } } }];
  }

  #constant(name: string): onnx.ITensorProto | undefined {
    const { initializer, node } = this.#graph;
    const initial = listOf(initializer).find((tensor) => tensor.name === name);
    if (initial !== undefined) return initial;
    const maker = listOf(node).find(({ opType, output }) => opType === "Constant" && output?.[0] === name);
    return maker?.attribute?.find((attribute) => attribute.name === "value")?.t ?? undefined;
  }
}

function toNode({ opType, input, output, attribute }: onnx.INodeProto): OnnxNode {
  const ints = listOf(attribute)
    .filter(({ type }) => type === AttributeProto.AttributeType.INT)
    .map(({ name, i }) => [name ?? "", Number(i)] as const);
  return { opType: opType ?? "", inputs: listOf(input), outputs: listOf(output), ints: Object.fromEntries(ints) };
}

function fromNode({ opType, inputs, outputs, ints }: OnnxNode): onnx.INodeProto {
  const attribute = Object.entries(ints).map(([name, i]) => ({ name, i, type: AttributeProto.AttributeType.INT }));
  return { opType, name: outputs[0] ?? "", input: [...inputs], output: [...outputs], attribute };
}

/** The numbers of a tensor: little-endian bytes, or a list. */
function floatsOf({ rawData, floatData }: onnx.ITensorProto): Float32Array {
  if (rawData == null || rawData.length === 0) return Float32Array.from(listOf(floatData));
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Float32Array.from({ length: Math.floor(rawData.length / 4) }, (_, at) => view.getFloat32(at * 4, true));
}

function rawBytes(data: Float32Array | Int8Array): Uint8Array {
  const bytes = new Uint8Array(data.byteLength);
  const view = new DataView(bytes.buffer);
  data.forEach((value, at) => {
    if (data instanceof Int8Array) view.setInt8(at, value);
    else view.setFloat32(at * 4, value, true);
  });
  return bytes;
}

function listOf<T>(list: T[] | null | undefined): T[] {
  return list ?? [];
}

function unreadable(why: string, cause?: unknown): MusterError {
  return new MusterError("bundle/model-unreadable", `not an ONNX model Muster can read: ${why}`, { cause });
}
