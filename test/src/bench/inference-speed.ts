import { availableParallelism } from "node:os";
import sharp from "sharp";
import { labelModelFile, labelPreprocess } from "../fixtures/label-model.js";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { type ServedModel, serveClassifier } from "../fleet/served-model.js";
import type { BareModel, BareWork } from "./bare-process.js";
import { Child } from "./child.js";
import type { Load, LoadResult } from "./load-process.js";
import { type Comparison, comparisonText, median } from "./measure.js";
import { postBytes } from "./raw-client.js";

const rounds = 9;
const perRound = 300;
const saturating = 8;
const path = "/v2/models/classifier/infer";
const { width = 192, height = 48 } = labelPreprocess.resize;
const bareModel: BareModel = { modelFile: labelModelFile, threads: 1, width, height };
const tensor = { data: new Float32Array(3 * width * height).fill(0.25), shape: [1, 3, height, width] };

/** One request after the other: what HTTP, queue and threads add to the bare libraries. */
export async function benchLatency(): Promise<string> {
  const served = await serveClassifier(workers());
  const [load, bare] = [new Child("./load-process.js"), new Child("./bare-process.js")];
  try {
    await bare.ask(bareModel);
    const rows: Comparison[] = [];
    for (const [what, pictures] of await pictureSets()) {
      const ours = () => load.ask<LoadResult>(loadOf(served, pictures.map(jpegRequest(served.url)), 1, perRound));
      const plain = () => bare.ask<LoadResult>({ pictures, count: perRound } satisfies BareWork);
      rows.push({ what: `${what}, p50`, ...(await inTurn(ours, plain, p50)), unit: "ms" });
    }
    const ours = () => load.ask<LoadResult>(loadOf(served, [tensorRequest(served.url)], 1, perRound));
    const plain = () => bare.ask<LoadResult>({ tensor, count: perRound } satisfies BareWork);
    const both = await inTurn(ours, plain, p50);
    rows.push({ what: "binary tensor to scores, p50", ...both, unit: "ms" });
    const text = comparisonText("Inference by HTTP, one request at a time", "onnxruntime-node + sharp", rows);
    return `${text}\n  a binary tensor takes ${(both.ours - both.plain).toFixed(3)} ms more than session.run`;
  } finally {
    for (const child of [load, bare]) child.close();
    await served.close();
  }
}

/** Answers per second with more clients than the machine has cores; the clients work on the same cores. */
export async function benchSaturation(): Promise<string> {
  const served = await serveClassifier(workers());
  const cores = availableParallelism();
  const load = new Child("./load-process.js");
  const bare = Array.from({ length: cores }, () => new Child("./bare-process.js"));
  try {
    await Promise.all(bare.map((child) => child.ask(bareModel)));
    const rows: Comparison[] = [];
    const measure = async (what: string, requests: readonly Buffer[], work: Omit<BareWork, "count">) => {
      const ours = () => load.ask<LoadResult>(loadOf(served, requests, saturating, perRound * cores));
      const plain = async () => {
        const results = await Promise.all(bare.map((child) => child.ask<LoadResult>({ ...work, count: perRound })));
        return {
          timesMs: results.flatMap(({ timesMs }) => timesMs),
          wallMs: Math.max(...results.map(({ wallMs }) => wallMs)),
          cpuMs: 0,
        };
      };
      rows.push({ what, ...(await inTurn(ours, plain, perSecond)), unit: "1/s" });
    };
    for (const [what, pictures] of await pictureSets()) {
      await measure(what, pictures.map(jpegRequest(served.url)), { pictures });
    }
    await measure("binary tensor to scores", [tensorRequest(served.url)], { tensor });
    return comparisonText(
      `Inference at saturation, ${saturating} clients`,
      `${cores} processes of the bare libraries`,
      rows,
    );
  } finally {
    for (const child of [load, ...bare]) child.close();
    await served.close();
  }
}

function workers(): number {
  return Math.min(2, availableParallelism());
}

/** Photos of a label as a small camera makes them, and cut out of a large picture. */
async function pictureSets(): Promise<[string, Buffer[]][]> {
  const small = await Promise.all(
    Array.from({ length: 8 }, (_, seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  const large = await Promise.all(
    small.map((jpeg) => sharp(jpeg).resize(1280, 720, { fit: "fill" }).jpeg().toBuffer()),
  );
  return [
    ["JPEG of 384×96 to label", small],
    ["JPEG of 1280×720 to label", large],
  ];
}

function jpegRequest(url: string): (jpeg: Buffer) => Buffer {
  return (jpeg) => postBytes(url, path, { "content-type": "image/jpeg" }, jpeg);
}

function tensorRequest(url: string): Buffer {
  const { data, shape } = tensor;
  const parameters = { binary_data_size: data.byteLength };
  const inputs = [{ name: "x", datatype: "FP32", shape, parameters }];
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(json.length),
  };
  return postBytes(url, path, headers, Buffer.concat([json, Buffer.from(data.buffer)]));
}

function loadOf({ url }: ServedModel, requests: readonly Buffer[], clients: number, count: number): Load {
  return { url, requests, clients, count };
}

/** Medians over rounds in which both take turns, after one that does not count. */
async function inTurn(
  ours: () => Promise<LoadResult>,
  plain: () => Promise<LoadResult>,
  figure: (result: LoadResult) => number,
): Promise<{ ours: number; plain: number }> {
  const figures = { ours: [] as number[], plain: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, work] of [["ours", ours] as const, ["plain", plain] as const]) {
      const value = figure(await work());
      if (round > 0) figures[name].push(value);
    }
  }
  return { ours: median(figures.ours), plain: median(figures.plain) };
}

function p50({ timesMs }: LoadResult): number {
  return median(timesMs);
}

function perSecond({ timesMs, wallMs }: LoadResult): number {
  return (timesMs.length * 1000) / wallMs;
}
