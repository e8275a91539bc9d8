import type { NamedTensor } from "@muster/shared/inference";
import { datatypes } from "./datatypes.js";
import type { TensorRequest } from "./infer-request.js";
import { jsonDataText } from "./json-data.js";

/** The answer to a request: JSON, and behind it the bytes of the outputs that were asked for as binary data. */
export interface TensorResponse {
  readonly json: string;
  readonly binary: readonly Uint8Array[];
}

/** The answer as the protocol writes it, outputs in the order in which they were asked for. */
export function inferResponse(
  { model, version }: { readonly model: string; readonly version: string },
  { id, outputs }: Pick<TensorRequest, "id" | "outputs">,
  tensors: readonly NamedTensor[],
): TensorResponse {
  const binary: Uint8Array[] = [];
  const texts = outputs.flatMap((asked) => {
    const tensor = tensors.find(({ name }) => name === asked.name);
    if (tensor === undefined) return [];
    const { name, shape, dtype, data } = tensor;
    const head = JSON.stringify({ name, datatype: datatypes[dtype], shape }).slice(0, -1);
    if (!asked.binary) return [`${head},"data":${jsonDataText(tensor)}}`];
    binary.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return [`${head},"parameters":{"binary_data_size":${data.byteLength}}}`];
  });
  const names = JSON.stringify({ model_name: model, model_version: version, ...(id === undefined ? {} : { id }) });
  return { json: `${names.slice(0, -1)},"outputs":[${texts.join(",")}]}`, binary };
}
