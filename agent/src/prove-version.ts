import { type Hardware, type Manifest, MusterError, unwrapKey } from "@muster/shared";
import { machineKey } from "./core/machine.js";
import { planTrial } from "./core/provider-plan.js";
import { variantsOf, wrappedKeyOf } from "./installed.js";
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
    variants.push({
      ...{ name, artifact: artifact.sha256, modelPath: shelf.path(artifact.sha256) },
      ...artifactKey(manifest, artifact.sha256, wrapped, device.sealingKey),
      ...(await engineFolder(device, artifact.sha256, providers, hardware)),
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

/** Where an engine that takes minutes to build is kept; only TensorRT builds one. */
export async function engineFolder(
  { engines, hardware }: StepDeps["device"],
  artifact: string,
  providers: readonly string[],
  known?: Hardware,
): Promise<{ cacheDir?: string }> {
  if (!providers.includes("tensorrt")) return {};
  return { cacheDir: await engines.folder(artifact, machineKey(known ?? (await hardware()))) };
}

/** The key of an encrypted artifact, unwrapped; nothing for a plain one. Throws `artifact/undecryptable`. */
export function artifactKey(
  { variants }: Manifest,
  digest: string,
  wrapped: string | undefined,
  sealingKey: string,
): { key?: string } {
  const encrypted = variants.some(({ artifact }) => artifact.sha256 === digest && artifact.encryption !== undefined);
  if (!encrypted) return {};
  if (wrapped === undefined) {
    throw new MusterError(
      "artifact/undecryptable",
      "the artifact is encrypted and the hub sent no key for this device",
    );
  }
  return { key: unwrapKey(wrapped, sealingKey, digest).toString("base64") };
}
