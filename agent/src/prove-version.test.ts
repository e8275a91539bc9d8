import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Envelope, Hardware, Manifest } from "@muster/shared";
import { machineKey } from "./core/machine.js";
import { EngineCache } from "./engine-cache.js";
import type { RunTrial } from "./ports.js";
import type { EngineOffer } from "./prebuilt-engines.js";
import { engineFolder, proveVersion, takeEngines } from "./prove-version.js";
import { temporaryFolder } from "./runner/testing.js";
import type { Candidate } from "./state.js";
import type { StepContext, StepDeps } from "./steps.js";
import { never } from "./testing/bad-line.js";

const hardware: Hardware = {
  ...{ platform: "linux", arch: "arm64", board: "Jetson Orin", cpu: "A78AE", cores: 6, memoryBytes: 8e9 },
  ...{ freeDiskBytes: 1e9, providers: ["cpu", "tensorrt"], gpus: [{ name: "NVIDIA Orin", shared: true }] },
};
const digest = (letter: string) => letter.repeat(64);
const variant = (name: string, letter: string, encryption?: { plainSha256: string }) => ({
  ...{ name, artifact: { sha256: digest(letter), ...(encryption === undefined ? {} : { encryption }) } },
});
const manifest = {
  ...{ model: "m", version: "1", selfTest: { samples: [] } },
  variants: [variant("plain", "a"), variant("sealed", "b", { plainSha256: digest("c") })],
} as unknown as Manifest;

/** A device with TensorRT, unless it is another. */
async function bench(machine = hardware) {
  const root = await temporaryFolder();
  const offers: EngineOffer[] = [];
  const told: [string, Record<string, unknown>][] = [];
  const device = {
    ...{ engines: new EngineCache(root, 1_000_000), hardware: async () => machine },
    tell: async (kind: string, fields: Record<string, unknown>) => void told.push([kind, fields]),
    prebuilt: { take: async (offer: EngineOffer) => void offers.push(offer) },
  } as unknown as StepDeps["device"];
  const take = (engines: Envelope[]) => {
    const context = { model: "m", engines: () => engines, state: { candidate: { version: "1" } }, signal: never };
    return takeEngines({ device } as StepDeps, manifest, ["plain", "sealed"], context as unknown as StepContext);
  };
  return { root, device, told, offers, take };
}

test("TensorRT keeps its engine of a plain model, and of an encrypted one none, not even from before", async () => {
  const { root, device } = await bench();
  const plain = await engineFolder(device, manifest, digest("a"), ["tensorrt", "cpu"]);
  assert.equal(plain.cacheDir, await device.engines.folder(digest("a"), machineKey(hardware)));
  await writeFile(join(plain.cacheDir ?? "", "graph.engine"), "weights");
  const before = await device.engines.folder(digest("b"), machineKey(hardware));
  await writeFile(join(before, "graph.engine"), "weights in the clear");
  assert.deepEqual(await engineFolder(device, manifest, digest("b"), ["tensorrt", "cpu"]), {});
  assert.deepEqual(await readdir(root), [plain.cacheDir?.slice(root.length + 1)]);
  const updated = await device.engines.folder(digest("b"), machineKey({ ...hardware, cores: 4 }));
  await writeFile(join(updated, "graph.engine"), "weights in the clear, from before an update");
  await engineFolder(device, manifest, digest("b"), ["cpu"]);
  assert.deepEqual(await readdir(root), [plain.cacheDir?.slice(root.length + 1)]);
  assert.deepEqual(await engineFolder(device, manifest, digest("a"), ["cuda", "cpu"]), {});
});

test("engines are taken for plain variants, where TensorRT is tried, when the hub offers some", async () => {
  const engines = [{ payloadType: "", payload: "", signatures: [] }];
  const jetson = await bench();
  await jetson.take(engines);
  assert.deepEqual(jetson.offers, [{ model: "m", version: "1", engines, artifacts: [digest("a")] }]);
  await jetson.take([]);
  assert.equal(jetson.offers.length, 1);
  const { gpus: _, ...other } = hardware;
  const board = await bench({ ...other, providers: ["cpu"] });
  await board.take(engines);
  assert.deepEqual(board.offers[0]?.artifacts ?? [], []);
});

test("with an engine from elsewhere a trial is begun once; after one that did not end it is thrown away and told", async () => {
  const { device, told } = await bench();
  const machine = machineKey(hardware);
  const found: string[][] = [];
  const trial: RunTrial = async ({ variants }) => {
    found.push(await readdir(variants[0]?.cacheDir ?? ""));
    return { kind: "failed", error: { code: "E_CRASH", detail: "it went down" }, tried: [] };
  };
  const deps = { trial, device, shelf: { path: (sha: string) => sha } } as unknown as StepDeps;
  const start = (trialStarts: number) => {
    const candidate = { version: "1", variants: ["plain"], trialStarts } as unknown as Candidate;
    return proveVersion(deps, manifest, candidate, { signal: never } as StepContext);
  };
  await device.engines.put(digest("a"), machine, (folder) => writeFile(join(folder, "taken.engine"), "x"));
  await start(1);
  assert.deepEqual([found, told], [[[".taken", "taken.engine"]], []]);
  await start(2);
  const reason = "a trial with it was begun and did not end";
  assert.deepEqual(told, [["engine.refused", { model: "m", version: "1", artifact: digest("a"), reason }]]);
  await writeFile(join(await device.engines.folder(digest("a"), machine), "own.engine"), "y");
  await start(3);
  assert.deepEqual(found.slice(1), [[], ["own.engine"]]);
  assert.equal(told.length, 1, "one that was built here stays");
});
