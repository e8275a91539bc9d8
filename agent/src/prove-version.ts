import { type Hardware, type Manifest, MusterError, unwrapKey } from "@muster/shared";
import { machineKey } from "./core/machine.js";
import { keepsEngines, planTrial } from "./core/provider-plan.js";
import { emptyEngineFolder, isTaken } from "./engine-cache.js";
import { candidateOf, variantOf, variantsOf, wrappedKeyOf } from "./installed.js";
import type { TrialResult } from "./runner/protocol.js";
import type { Candidate } from "./state.js";
import type { StepContext, StepDeps } from "./steps.js";
import { candidateText } from "./trial-report.js";

/** Tries a version in every way that promises something here, on the variants that were fetched. */
export async function proveVersion(
  { shelf, trial, device }: StepDeps,
  manifest: Manifest,
  candidate: Candidate,
  { signal, onProgress }: StepContext,
): Promise<TrialResult> {
  const hardware = await device.hardware();
  const here = variantsOf(manifest, candidate);
  const names = here.map(({ name }) => name);
  const candidates = planTrial(names, hardware);
  const providers = candidates.map(({ provider }) => provider);
  const variants: Parameters<typeof trial>[0]["variants"] = [];
  for (const { name, artifact } of here) {
    const wrapped = wrappedKeyOf(candidate, artifact.sha256);
    const folder = await engineFolder(device, manifest, artifact.sha256, providers, hardware);
    if (candidate.trialStarts > 1) await distrustEngine(device, manifest, artifact.sha256, folder);
    variants.push({
      ...{ name, artifact: artifact.sha256, modelPath: shelf.path(artifact.sha256) },
      ...artifactKey(manifest, artifact.sha256, wrapped, device.sealingKey),
      ...folder,
    });
  }
  const samplePaths = manifest.selfTest.samples.map(({ input }) => shelf.path(input.sha256));
  return trial(
    { manifest, variants, samplePaths, candidates, machine: machineKey(hardware), measure: true },
    {
      ...{ timeoutMs: device.trialTimeoutMs, signal },
      onCandidate: (next, number, of) => onProgress({ doing: `${number} of ${of}: ${candidateText(next)}` }),
    },
  );
}

/**
 * Throws away an engine that was built elsewhere: with it a trial was begun that did not end, and it may be what takes the device
 * down. The version is to have its other starts without it.
 */
async function distrustEngine(
  { tell }: Pick<StepDeps["device"], "tell">,
  { model, version }: Manifest,
  artifact: string,
  { cacheDir }: { readonly cacheDir?: string },
): Promise<void> {
  if (cacheDir === undefined || !(await isTaken(cacheDir))) return;
  await emptyEngineFolder(cacheDir);
  await tell("engine.refused", { model, version, artifact, reason: "a trial with it was begun and did not end" });
}

/** Where an engine that takes minutes to build is kept; nowhere when it holds the weights of an encrypted model in the clear. */
export async function engineFolder(
  { engines, hardware }: Pick<StepDeps["device"], "engines" | "hardware">,
  manifest: Manifest,
  artifact: string,
  providers: readonly string[],
  known?: Hardware,
): Promise<{ cacheDir?: string }> {
  if (isEncrypted(manifest, artifact)) {
    // What was kept while nobody looked whether the model is encrypted.
    await engines.drop(artifact);
    return {};
  }
  if (!providers.some(keepsEngines)) return {};
  return { cacheDir: await engines.folder(artifact, machineKey(known ?? (await hardware()))) };
}

function isEncrypted({ variants }: Manifest, digest: string): boolean {
  return variants.some(({ artifact }) => artifact.sha256 === digest && artifact.encryption !== undefined);
}

/** The key of an encrypted artifact, unwrapped; nothing for a plain one. Throws `artifact/undecryptable`. */
export function artifactKey(
  manifest: Manifest,
  digest: string,
  wrapped: string | undefined,
  sealingKey: string,
): { key?: string } {
  if (!isEncrypted(manifest, digest)) return {};
  if (wrapped === undefined) {
    throw new MusterError(
      "artifact/undecryptable",
      "the artifact is encrypted and the hub sent no key for this device",
    );
  }
  return { key: unwrapKey(wrapped, sealingKey, digest).toString("base64") };
}

/** Takes the engines that the hub offers for those of a version's variants for which one would be built here. */
export async function takeEngines(
  { device }: StepDeps,
  manifest: Manifest,
  fetched: readonly string[],
  context: StepContext,
): Promise<void> {
  const engines = context.engines();
  if (engines.length === 0) return;
  const { model, state, signal, onProgress } = context;
  const { version } = candidateOf(state);
  const wanted = planTrial(fetched, await device.hardware()).filter(({ provider }) => keepsEngines(provider));
  const artifacts = wanted.map(({ variant }) => variantOf(manifest, variant).artifact.sha256);
  const plain = artifacts.filter((artifact) => !isEncrypted(manifest, artifact));
  await device.prebuilt.take({ model, version, engines, artifacts: plain }, signal, onProgress);
}
