import type { Hardware, Manifest, ManifestVariant } from "@muster/shared";

/** One way to run a version on this device. */
export interface ProviderCandidate {
  readonly provider: string;
  readonly threads: number;
}

/** The provider whose presence does not depend on the hardware. */
const everywhere = "cpu";
const megabyte = 1_000_000;

/** The variant to fetch: the first in the author's order that fits memory; undefined when none does. */
export function chooseVariant(manifest: Manifest, { memoryBytes }: Hardware): ManifestVariant | undefined {
  // A session holds the weights twice while it loads.
  const needed = ({ artifact }: ManifestVariant) =>
    Math.max(2 * artifact.sizeBytes, (manifest.budgets.memoryMb ?? 0) * megabyte);
  return manifest.variants.find((variant) => needed(variant) <= memoryBytes);
}

/**
 * What a trial tries, in order of promise. More threads are not always faster, so one and half and all
 * of the cores are measured.
 */
export function planProviders({ cores }: Hardware): ProviderCandidate[] {
  const widths = [...new Set([1, Math.ceil(cores / 2), cores])];
  return widths.map((threads) => ({ provider: everywhere, threads }));
}
