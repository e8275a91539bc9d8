import assert from "node:assert/strict";
import { copyFile, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { type Manifest, manifestType, messageOf, seal, sha256 } from "@muster/shared";
import { systemClock } from "@muster/shared/node";
import { MemoryDoc, newSigners, rootOf, sealRoot } from "@muster/shared/testing";
import { FolderShelf } from "./adapters/folder-shelf.js";
import { StandInServer } from "./adapters/stand-in-server.js";
import { Crowd } from "./crowd.js";
import { EngineCache } from "./engine-cache.js";
import { readHardware } from "./hardware.js";
import type { RunTrial } from "./ports.js";
import { Reconciler } from "./reconciler.js";
import { RunnerHost } from "./runner/host.js";
import {
  defaultSettings,
  makeManifest,
  memoryLog,
  modelFile,
  picture,
  temporaryFolder,
  until,
} from "./runner/testing.js";
import { type AgentState, type Candidate, emptyModel, type Installed, initialState } from "./state.js";
import { Steps } from "./steps.js";
import { RunnerSupervisor } from "./supervisor.js";
import { bench } from "./testing/bad-line.js";
import { dangerousModel } from "./testing/index.js";

// The runners of these tests inherit it.
process.env.NODE_OPTIONS = `--import ${dangerousModel.href}`;

const signers = newSigners();
const root = rootOf(signers, { issuedMs: Date.now() });
const model = "label-orientation";

/** A signed version whose files all lie on the shelf. */
async function shelved(shelf: FolderShelf, manifest: Manifest) {
  const envelope = JSON.stringify(seal(manifestType, Buffer.from(JSON.stringify(manifest)), signers.release));
  const sample = await picture();
  await writeFile(shelf.path(sha256(envelope)), envelope);
  await writeFile(shelf.path(sha256(sample)), sample);
  const artifact = manifest.variants[0]?.artifact.sha256 ?? "";
  await copyFile(modelFile, shelf.path(artifact));
  return { manifest: { sha256: sha256(envelope), sizeBytes: envelope.length }, artifact };
}

/**
 * A device on which 1.0.0 is committed and 2.0.0 passes its trial, during whose last moment `afterTrial` happens; with
 * changes to the manifest of 2.0.0.
 */
async function device(
  t: TestContext,
  afterTrial: (host: RunnerHost) => Promise<void>,
  changes: Readonly<Record<string, unknown>> = {},
) {
  const folder = await temporaryFolder();
  const shelf = await FolderShelf.open(folder);
  const first = await shelved(shelf, await makeManifest([await picture()]));
  const second = await shelved(
    shelf,
    await makeManifest([await picture()], { ...changes, version: "2.0.0", release: 2 }),
  );
  const chosen = { variant: "fp32", provider: "cpu", threads: 1 };
  const committed: Installed = {
    ...{ attempt: "q.0", version: "1.0.0", release: 1, manifest: first.manifest.sha256, artifact: first.artifact },
    ...chosen,
  };
  const candidate: Candidate = {
    ...{ attempt: "r.0", version: "2.0.0", manifest: second.manifest, probationMs: 1 },
    ...{ phase: "verified", phaseSinceMs: Date.now(), trialStarts: 0, release: 2, variants: ["fp32"] },
  };
  const wanted = { model, version: "2.0.0", manifest: second.manifest, attempt: "r.0", probationMs: 1 };
  const state: AgentState = {
    ...initialState,
    desired: { device: "a", revision: 1, issuedMs: 0, expiresMs: Date.now() + 600_000, models: [wanted] },
    models: { [model]: { ...emptyModel, releaseFloor: 1, committed, candidate } },
  };
  const log = memoryLog();
  const settings = { ...defaultSettings, workers: 1, stateDir: folder };
  const host = new RunnerHost({ settings, log });
  const supervisor = new RunnerSupervisor({
    ...{ process: host, standIn: new StandInServer(), clock: systemClock, log },
    restore: () => [[() => steps.slot(model, reconciler.state.models[model]?.committed ?? committed)]],
    on: {
      unusable: (error) => assert.fail(messageOf(error)),
      ending: (ending) => reconciler.runnerEnded(ending),
      restored: () => reconciler.runnerRestored(),
    },
  });
  const trial: RunTrial = async () => {
    await afterTrial(host);
    return { kind: "passed", ...chosen, tried: [], remembered: false };
  };
  const { transfer } = await (await bench()).open();
  const steps: Steps = new Steps({
    ...{ shelf, transfer, runner: supervisor, trial },
    favourite: async () => undefined,
    device: {
      root: () => root,
      crowd: new Crowd({
        ...{ shelf, models: () => reconciler.state.models },
        limits: { maxModels: 1, memoryBytes: undefined },
      }),
      sealingKey: "",
      hardware: async () => readHardware({ dataDir: folder, runtime: { providers: ["cpu"] } }),
      ...{ agentVersion: "0.1.0", trialTimeoutMs: 60_000, engines: new EngineCache(folder, 1_000_000) },
      ...{ prebuilt: { take: async () => undefined }, tell: async () => undefined },
      budget: { maxVariants: 1, maxArtifactBytes: 1_000_000_000, dataBytes: undefined },
    },
    now: () => Date.now(),
  });
  const reconciler = await Reconciler.open({
    ...{ store: new MemoryDoc<AgentState>(state), steps, shelf, clock: systemClock, log },
    device: {
      ...{ id: "a", joined: sealRoot(root, signers.root) },
      ...{ onEvent: async () => undefined, onChange: () => undefined },
    },
  });
  t.after(() => supervisor.close());
  t.after(() => reconciler.close());
  await supervisor.start();
  reconciler.start();
  const ended = async () => {
    await until("the attempt ends", () => reconciler.state.models[model]?.finished.length === 1);
    const { finished, committed: now } = reconciler.state.models[model] ?? emptyModel;
    return { ...finished[0], serves: now?.version };
  };
  const serving = async () =>
    (await supervisor.status()).models.filter((one) => one.serving).map(({ version }) => version);
  return { supervisor, host, ended, serving };
}

/** Ends a process as an operator or the kernel does, and waits until it is noticed. */
async function killed(host: RunnerHost): Promise<void> {
  const gone = new Promise<void>((resolve) => host.onExit(() => resolve()));
  process.kill(host.pid ?? 0, "SIGKILL");
  await gone;
}

test("a version whose turn comes while the runner is started again is put in service when it is back", async (t) => {
  const { supervisor, ended, serving } = await device(t, killed);
  const { outcome, error, serves } = await ended();
  assert.deepEqual([outcome, error, serves], ["committed", undefined, "2.0.0"]);
  assert.deepEqual(supervisor.endings, { crash: 1, hang: 0, memory: 0 });
  assert.deepEqual(await serving(), ["2.0.0"]);
});

test("a version that ends the runner while it is loaded is rejected, and the one before serves again", async (t) => {
  // A blank picture is white after this, and its first run kills the process.
  const preprocess = {
    ...{ resize: { width: 192, height: 48, mode: "fill" }, colour: "bgr", layout: "nchw", scale: 1 / 255 },
    ...{ mean: [-0.5, -0.5, -0.5], std: [0.5, 0.5, 0.5] },
  };
  const { supervisor, ended, serving } = await device(t, async () => undefined, { preprocess });
  const { outcome, error, serves } = await ended();
  assert.deepEqual([outcome, error?.code, serves], ["rejected", "E_CRASH", "1.0.0"]);
  assert.match(error?.detail ?? "", /crashed with SIGSEGV while this version was loaded/);
  await until("the one before serves", () => supervisor.state === "serving");
  assert.deepEqual(supervisor.endings, { crash: 1, hang: 0, memory: 0 });
  assert.deepEqual(await serving(), ["1.0.0"]);
});
