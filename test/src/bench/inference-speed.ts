import { availableParallelism } from "node:os";
import sharp from "sharp";
import { labelText, renderLabel } from "../fixtures/labels.js";
import { type ServedModel, serveModel } from "../fleet/served-model.js";
import type { BareWork } from "./bare-process.js";
import { Child } from "./child.js";
import { type BenchModel, benchModels } from "./inference-models.js";
import type { Load, LoadResult } from "./load-process.js";
import { type Comparison, comparisonText, median } from "./measure.js";
import { postBytes } from "./raw-client.js";

const rounds = 9;
const cores = availableParallelism();
const workers = Math.min(2, cores);
const saturating = 4 * cores;

/** What is asked: by HTTP, and of the bare libraries. */
interface Asked {
  readonly what: string;
  readonly request: (url: string) => Buffer[];
  readonly work: Omit<BareWork, "count">;
}

/** One request after the other: what HTTP, queue and threads add to the bare libraries. */
export async function benchLatency(): Promise<string> {
  const rows: Comparison[] = [];
  const added: string[] = [];
  for (const model of benchModels()) {
    await beside(model, 1, async (served, load, [bare]) => {
      for (const { what, request, work } of await askedOf(model)) {
        const count = model.perRound;
        const ours = () => load.ask<LoadResult>(loadOf(served, request(served.url), 1, count));
        const plain = () => bare?.ask<LoadResult>({ ...work, count }) ?? Promise.reject(new Error("no bare process"));
        const seen = await inTurn(ours, plain);
        const [middle, quietest] = [median, least].map((pick) => pairOf(seen, pick, p50)) as [Pair, Pair];
        rows.push({ what: `${model.name}, ${what}: p50`, ...middle, unit: "ms" });
        rows.push({ what: "  in the quietest round", ...quietest, unit: "ms" });
        const more = [middle, quietest].map((one) => (one.ours - one.plain).toFixed(3));
        if (work.tensor !== undefined) added.push(`${model.name} ${more[0]} ms (quietest round: ${more[1]} ms)`);
      }
    });
  }
  const text = comparisonText("Inference by HTTP, one request at a time", "onnxruntime-node + sharp", rows);
  return `${text}\n  more than session.run for a binary tensor: ${added.join(", ")}`;
}

/**
 * Answers per second with more clients than the machine has cores. The clients work on the same cores, and the bare libraries
 * have none; so the same is given for the processor time that the clients left.
 */
export async function benchSaturation(): Promise<string> {
  const rows: Comparison[] = [];
  for (const model of benchModels()) {
    await beside(model, cores, async (served, load, bare) => {
      for (const { what, request, work } of await askedOf(model)) {
        const count = model.perRound;
        const ours = () => load.ask<LoadResult>(loadOf(served, request(served.url), saturating, count * cores));
        const plain = async () =>
          together(await Promise.all(bare.map((one) => one.ask<LoadResult>({ ...work, count }))));
        const seen = await inTurn(ours, plain);
        rows.push({ what: `${model.name}, ${what}`, ...pairOf(seen, median, perSecond), unit: "1/s" });
        rows.push({ what: "  in the quietest round", ...pairOf(seen, most, perSecond), unit: "1/s" });
        const left = { ours: median(seen.ours.map(perSecondLeft)), plain: median(seen.plain.map(perSecond)) };
        rows.push({ what: "  in the time that clients left", ...left, unit: "1/s" });
      }
    });
  }
  const title = `Inference at saturation, ${saturating} clients on the same ${cores} cores`;
  return comparisonText(title, `${cores} processes of the bare libraries`, rows);
}

/** Serves the model and loads it in bare processes, for as long as the measurement takes. */
async function beside(
  { manifest, bare: bareModel }: BenchModel,
  processes: number,
  measure: (served: ServedModel, load: Child, bare: readonly Child[]) => Promise<void>,
): Promise<void> {
  const served = await serveModel(manifest, bareModel.modelFile, workers);
  const load = new Child("./load-process.js");
  const bare = Array.from({ length: processes }, () => new Child("./bare-process.js"));
  try {
    await Promise.all(bare.map((one) => one.ask(bareModel)));
    await measure(served, load, bare);
  } finally {
    for (const child of [load, ...bare]) child.close();
    await served.close();
  }
}

/** Photos of labels as a small camera makes them and as large as a video's frames, and a tensor. */
async function askedOf({ name, bare: { width, height } }: BenchModel): Promise<Asked[]> {
  const path = `/v2/models/${name}/infer`;
  const small = await Promise.all(
    Array.from({ length: 8 }, (_, seed) => renderLabel({ text: labelText(seed), rotated: seed % 2 === 1, seed })),
  );
  const large = await Promise.all(
    small.map((jpeg) => sharp(jpeg).resize(1280, 720, { fit: "fill" }).jpeg().toBuffer()),
  );
  const pictures = (what: string, jpegs: Buffer[]): Asked => ({
    what,
    request: (url) => jpegs.map((jpeg) => postBytes(url, path, { "content-type": "image/jpeg" }, jpeg)),
    work: { pictures: jpegs },
  });
  const tensor = { data: new Float32Array(3 * width * height).fill(0.25), shape: [1, 3, height, width] };
  return [
    pictures("JPEG of 384×96", small),
    pictures("JPEG of 1280×720", large),
    { what: "binary tensor", request: (url) => [tensorRequest(url, path, tensor)], work: { tensor } },
  ];
}

function tensorRequest(
  url: string,
  path: string,
  { data, shape }: { data: Float32Array<ArrayBuffer>; shape: number[] },
) {
  const inputs = [{ name: "x", datatype: "FP32", shape, parameters: { binary_data_size: data.byteLength } }];
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

type Pair = { readonly ours: number; readonly plain: number };

/** Rounds in which both took turns. */
interface Rounds {
  readonly ours: readonly LoadResult[];
  readonly plain: readonly LoadResult[];
}

/** Lets both take turns; the first round does not count. */
async function inTurn(ours: () => Promise<LoadResult>, plain: () => Promise<LoadResult>): Promise<Rounds> {
  const seen = { ours: [] as LoadResult[], plain: [] as LoadResult[] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, work] of [["ours", ours] as const, ["plain", plain] as const]) {
      const result = await work();
      if (round > 0) seen[name].push(result);
    }
  }
  return seen;
}

function pairOf(
  { ours, plain }: Rounds,
  pick: (values: readonly number[]) => number,
  figure: (result: LoadResult) => number,
): Pair {
  return { ours: pick(ours.map(figure)), plain: pick(plain.map(figure)) };
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}

function together(results: readonly LoadResult[]): LoadResult {
  return {
    timesMs: results.flatMap(({ timesMs }) => timesMs),
    wallMs: Math.max(...results.map(({ wallMs }) => wallMs)),
    cpuMs: results.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}

function p50({ timesMs }: LoadResult): number {
  return median(timesMs);
}

function perSecond({ timesMs, wallMs }: LoadResult): number {
  return (timesMs.length * 1000) / wallMs;
}

function perSecondLeft({ timesMs, wallMs, cpuMs }: LoadResult): number {
  return (timesMs.length * 1000) / (wallMs - cpuMs / cores);
}
