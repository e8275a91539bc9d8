import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Clock, engineClass, type Hardware, type PrebuiltEngine, prebuiltEngineType, seal } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { newSigners, rootOf } from "@muster/shared/testing";
import { machineKey } from "../core/machine.js";
import { EngineCache } from "../engine-cache.js";
import { engineBlobs, PrebuiltEngines } from "../prebuilt-engines.js";
import { memoryLog, temporaryFolder } from "../runner/testing.js";
import type { Progress } from "../watch.js";
import { bench as badLine, chunkBytes, never, offer } from "./bad-line.js";

/** Who signs for the fleet. */
export const signers = newSigners();
/** The model file that the engine is of. */
export const artifact = "a".repeat(64);
/** A device that builds engines. */
export const jetson: Hardware = {
  ...{ platform: "linux", arch: "arm64", board: "Jetson Orin", cpu: "A78AE", cores: 6, memoryBytes: 8e9 },
  ...{ freeDiskBytes: 1e9, providers: ["cpu", "tensorrt"], onnxruntime: { version: "1.30.0", build: "one" } },
  gpus: [{ name: "NVIDIA Orin", shared: true }],
};
const ownClass = engineClass(jetson) ?? "";
/** The files of the engine. */
export const graph = randomBytes(6 * chunkBytes + 17);
export const timing = Buffer.from("times");

/** A device whose hub offers an engine of two files; `root` is the folder of its engines. */
export async function bench({ hardware = jetson, clock = systemClock }: { hardware?: Hardware; clock?: Clock } = {}) {
  const { line, open, ...first } = await badLine(undefined, clock);
  const root = join(await temporaryFolder(), "engines");
  const files = [
    { name: "graph.engine", artifact: offer(line, graph) },
    { name: "cache.timing", artifact: offer(line, timing) },
  ];
  const engine: PrebuiltEngine = { artifact, engineClass: ownClass, builtBy: "d1", createdMs: 0, files };
  const envelope = (over: Partial<PrebuiltEngine> = {}, keys = signers.release) =>
    seal(prebuiltEngineType, Buffer.from(JSON.stringify({ ...engine, ...over })), keys);
  const told: [string, Record<string, unknown>][] = [];
  const progress: Progress[] = [];
  const cache = new EngineCache(root, 1e9);
  const needed = new Set<string>();
  const over = ({ shelf, transfer }: Pick<typeof first, "shelf" | "transfer">) =>
    new PrebuiltEngines({
      ...{ shelf, transfer, link: line, allowance: line, cache, clock, log: memoryLog() },
      blobs: {
        needed: async () => needed,
        discard: async (digests) => {
          for (const digest of digests) if (!needed.has(digest)) await shelf.remove(digest);
        },
      },
      device: {
        root: () => rootOf(signers),
        hardware: async () => hardware,
        tell: async (kind, fields) => void told.push([kind, fields]),
      },
    });
  const usual = over(first);
  const take = (engines = [envelope()], signal = never, by = usual) =>
    by.take({ model: "m", version: "1", engines, artifacts: [artifact] }, signal, (one) => progress.push(one));
  /** What a provider finds. */
  const kept = async () => (await cache.files(artifact, machineKey(hardware))).map(({ name }) => name);
  /** What of the engine is left on the shelf, whole or in part. */
  const shelved = async () =>
    (await Promise.all(engineBlobs([envelope()]).map((blob) => first.shelf.diskBytes(blob)))).reduce((a, b) => a + b);
  const reasons = () => told.map(([kind, { reason }]) => [kind, reason]);
  const again = async () => over(await open());
  return { line, root, cache, needed, envelope, told, progress, take, kept, shelved, reasons, again, ...first };
}
