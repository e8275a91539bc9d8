import { type FloatTensor, type OnnxModel, type OnnxNode, quantizeWeights, readOnnx, writeOnnx } from "@muster/hub";
import { fineTuneModel } from "../fixtures/label-model.js";
import { between, seededRandom } from "../fixtures/random.js";

/** Two versions of a model as they follow each other. */
export interface Change {
  readonly name: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

const layers: readonly string[] = ["Conv", "ConvTranspose", "MatMul", "Gemm"];
const moreLabels = 8;

/** What usually happens to a model between two versions; both files written by the same exporter, as in a real pipeline. */
export function changesOf(original: Uint8Array): Change[] {
  const before = writeOnnx(readOnnx(original));
  const int8 = quantizeWeights(original).model;
  const labelled = withMoreLabels(original);
  return [
    { name: "unchanged, republished", before, after: before },
    { name: "head fine-tuned", before, after: withNewHead(original) },
    ...(labelled === undefined ? [] : [{ name: `${moreLabels} labels appended`, before, after: labelled }]),
    {
      name: "int8, scales calibrated anew",
      before: int8,
      after: quantizeWeights(withOtherExtremes(original)).model,
    },
    { name: "fp32, fine-tuned throughout", before, after: fineTuneModel(original) },
  ];
}

/** Weights and bias of the last layer moved by up to a tenth: what training the head alone does. */
function withNewHead(original: Uint8Array): Uint8Array {
  const model = readOnnx(original);
  const random = seededRandom(11);
  const { weights, bias } = headOf(model);
  for (const name of [weights, bias]) {
    const tensor = model.floats(name);
    if (tensor !== undefined)
      model.setFloats(
        name,
        tensor.data.map((value) => value * between(random, 0.9, 1.1)),
      );
  }
  return writeOnnx(model);
}

/** The last product with columns for more classes; undefined when the model does not end in one. */
function withMoreLabels(original: Uint8Array): Uint8Array | undefined {
  const model = readOnnx(original);
  const head = headOf(model);
  const [weights, bias] = [model.floats(head.weights), model.floats(head.bias)];
  if (head.opType !== "MatMul" || weights === undefined || bias === undefined) return undefined;
  const random = seededRandom(12);
  for (const [name, tensor] of [[head.weights, weights] as const, [head.bias, bias] as const]) {
    const classes = tensor.dims.at(-1) ?? 1;
    const rows = tensor.data.length / classes;
    const data = Float32Array.from({ length: rows * (classes + moreLabels) }, (_, at) => {
      const column = at % (classes + moreLabels);
      const row = Math.floor(at / (classes + moreLabels));
      return column < classes ? (tensor.data[row * classes + column] ?? 0) : between(random, -0.1, 0.1);
    });
    model.replaceConstant(name, [{ name, dims: [...tensor.dims.slice(0, -1), classes + moreLabels], data }], []);
  }
  return writeOnnx(model);
}

/** The largest weight of each output channel moved by up to one in a hundred, and with it the channel's int8 scale. */
function withOtherExtremes(original: Uint8Array): Uint8Array {
  const model = readOnnx(original);
  const random = seededRandom(13);
  for (const { opType, inputs } of model.nodes()) {
    const tensor = layers.includes(opType) ? model.floats(inputs[1] ?? "") : undefined;
    if (tensor === undefined) continue;
    const data = tensor.data.slice();
    for (const at of extremes(tensor, opType)) data[at] = (data[at] ?? 0) * between(random, 0.99, 1.01);
    model.setFloats(inputs[1] ?? "", data);
  }
  return writeOnnx(model);
}

/** Where the largest weight of each output channel lies. */
function extremes({ dims, data }: FloatTensor, opType: string): Iterable<number> {
  const first = opType === "Conv";
  const channels = (first ? dims[0] : dims.at(-1)) ?? 1;
  const largest = new Map<number, number>();
  data.forEach((value, at) => {
    const channel = first ? Math.floor(at / (data.length / channels)) : at % channels;
    const known = largest.get(channel);
    if (known === undefined || Math.abs(value) > Math.abs(data[known] ?? 0)) largest.set(channel, at);
  });
  return largest.values();
}

function headOf(model: OnnxModel): { opType: string; weights: string; bias: string } {
  const nodes = model.nodes();
  const hasWeights = ({ opType, inputs }: OnnxNode) =>
    layers.includes(opType) && model.floats(inputs[1] ?? "") !== undefined;
  const head = nodes.findLast(hasWeights);
  const sum = nodes.find(({ opType, inputs }) => opType === "Add" && inputs[0] === head?.outputs[0]);
  return {
    opType: head?.opType ?? "",
    weights: head?.inputs[1] ?? "",
    bias: head?.inputs[2] ?? sum?.inputs[1] ?? "",
  };
}
