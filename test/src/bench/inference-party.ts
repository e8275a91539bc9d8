import { availableParallelism } from "node:os";
import sharp from "sharp";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { serveModel } from "../fleet/served-model.js";
import type { BareWork } from "./bare.js";
import { Child } from "./child.js";
import type { BenchModel } from "./inference-models.js";
import { postBytes } from "./raw-client.js";

/** Engine threads of the runner. */
export const workers = Math.min(2, availableParallelism());

/** Who answers, each in processes of its own, and who asks. */
export interface Party {
  /** The runner's. */
  readonly url: string;
  /** Those of as many plain servers as there are bare processes. */
  readonly plainUrls: readonly string[];
  readonly bare: readonly Child[];
  readonly load: Child;
}

/** What is asked: of the runner, of the plain servers, and of the bare libraries. */
export interface Asked {
  readonly what: string;
  readonly request: (url: string) => Buffer[];
  readonly plainRequest: (url: string) => Buffer[];
  readonly work: Omit<BareWork, "count">;
}

/** Serves the model, and loads it in bare processes and plain servers, for as long as the measurement takes. */
export async function withParty(
  { manifest, bare: model }: BenchModel,
  processes: number,
  measure: (party: Party) => Promise<void>,
): Promise<void> {
  const served = await serveModel(manifest, model.modelFile, workers);
  const load = new Child("./load-process.js");
  const several = (script: string) => Array.from({ length: processes }, () => new Child(script));
  const [bare, plain] = [several("./bare-process.js"), several("./plain-server.js")];
  try {
    await Promise.all(bare.map((one) => one.ask(model)));
    const plainUrls = await Promise.all(plain.map((one) => one.ask<string>(model)));
    await measure({ url: served.url, plainUrls, bare, load });
  } finally {
    for (const child of [load, ...bare, ...plain]) child.close();
    await served.close();
  }
}

/** Photos of labels as a small camera makes them and as large as a video's frames, and a tensor. */
export async function askedOf({ name, bare: { width, height } }: BenchModel): Promise<Asked[]> {
  const path = `/v2/models/${name}/infer`;
  const small = await Promise.all(
    Array.from({ length: 8 }, (_, seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  const large = await Promise.all(
    small.map((jpeg) => sharp(jpeg).resize(1280, 720, { fit: "fill" }).jpeg().toBuffer()),
  );
  const pictures = (what: string, jpegs: Buffer[]): Asked => {
    const request = (url: string) => jpegs.map((jpeg) => postBytes(url, path, { "content-type": "image/jpeg" }, jpeg));
    return { what, request, plainRequest: request, work: { pictures: jpegs } };
  };
  const tensor = { data: new Float32Array(3 * width * height).fill(0.25), shape: [1, 3, height, width] };
  const bytes = Buffer.from(tensor.data.buffer);
  return [
    pictures("JPEG of 384×96", small),
    pictures("JPEG of 1280×720", large),
    {
      what: "binary tensor",
      request: (url) => [tensorRequest(url, path, tensor.shape, bytes)],
      plainRequest: (url) => [postBytes(url, "/", { "content-type": "application/octet-stream" }, bytes)],
      work: { tensor },
    },
  ];
}

function tensorRequest(url: string, path: string, shape: readonly number[], bytes: Buffer): Buffer {
  const inputs = [{ name: "x", datatype: "FP32", shape, parameters: { binary_data_size: bytes.length } }];
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(json.length),
  };
  return postBytes(url, path, headers, Buffer.concat([json, bytes]));
}
