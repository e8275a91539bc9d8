import type { Manifest, ManifestVariant, Wanted } from "@muster/shared";
import { DeviceFault, isDiskFull } from "./faults.js";
import { seedsOf } from "./shelved.js";
import type { StepContext, StepDeps } from "./steps.js";

type FetchDeps = Pick<StepDeps, "transfer" | "shelf" | "device">;

/** What is fetched of a version. */
export interface VersionParts {
  readonly manifest: Manifest;
  /** In order of promise; the first is the one that must come. */
  readonly variants: readonly ManifestVariant[];
  readonly hints: Wanted["hints"];
}

/** What the journal of a transfer and the file system add to a file. */
const diskMargin = 1.1;

/**
 * Brings variants and the samples of their manifest here, and returns the names of those that came. One beyond the first
 * for which the disk has no room is left out: a device that can run a version does not fail for the choice. Throws
 * `E_DISK` for the first, and as {@link Transfer.fetchArtifact}.
 */
export async function fetchVersion(deps: FetchDeps, parts: VersionParts, context: StepContext): Promise<string[]> {
  const { transfer } = deps;
  const { manifest, variants } = parts;
  const totalBytes = variants.reduce((sum, { artifact }) => sum + artifact.sizeBytes, 0);
  const fetched: string[] = [];
  let beforeBytes = 0;
  for (const variant of variants) {
    const { name, artifact } = variant;
    try {
      await fetchVariant(deps, parts, variant, context, { beforeBytes, totalBytes });
      fetched.push(name);
    } catch (error) {
      const noRoom = isDiskFull(error) || (error instanceof DeviceFault && error.code === "E_DISK");
      if (!noRoom || fetched.length === 0) throw error;
    }
    beforeBytes += artifact.sizeBytes;
  }
  for (const file of manifest.files ?? []) await transfer.fetchSmall(file, context.signal);
  for (const { input } of manifest.selfTest.samples) await transfer.fetchSmall(input, context.signal);
  return fetched;
}

async function fetchVariant(
  { transfer, shelf, device }: FetchDeps,
  { hints }: VersionParts,
  { artifact }: ManifestVariant,
  { state, signal, onProgress }: StepContext,
  { beforeBytes, totalBytes }: { readonly beforeBytes: number; readonly totalBytes: number },
): Promise<void> {
  const { freeDiskBytes } = await device.hardware();
  const neededBytes = artifact.sizeBytes * diskMargin - (await shelf.diskBytes(artifact.sha256));
  if (neededBytes > freeDiskBytes) {
    const sizes = `needs ${Math.ceil(neededBytes)} more bytes, ${freeDiskBytes} are free`;
    throw new DeviceFault("failed", "E_DISK", `${sizes}; make room in the data folder`);
  }
  const hint = hints?.find((entry) => entry.artifact === artifact.sha256);
  const seeds = await seedsOf(state, shelf);
  await transfer.fetchArtifact(
    artifact,
    signal,
    (progress) => onProgress({ ...progress, doneBytes: beforeBytes + progress.doneBytes, totalBytes }),
    { seeds, hint },
  );
}
