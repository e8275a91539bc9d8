import type { Hardware, Manifest, ManifestVariant } from "@muster/shared";

/** One way to run a version on this device. */
export interface ProviderCandidate {
  readonly provider: string;
  readonly threads: number;
}

/** The provider whose presence does not depend on the hardware. */
const everywhere = "cpu";
const megabyte = 1_000_000;

/** Why this device is not one the version is made for; undefined when it is. */
export function incompatibility({ requires }: Manifest, { arch }: Hardware, agentVersion: string): string | undefined {
  if (requires.arch !== undefined && !requires.arch.includes(arch)) {
    return `it is made for ${requires.arch.join(", ")}, this device is ${arch}`;
  }
  if (requires.agent !== undefined && isOlder(agentVersion, requires.agent)) {
    return `it needs agent ${requires.agent} or newer, this is ${agentVersion}; update the agent`;
  }
  return undefined;
}

function isOlder(version: string, than: string): boolean {
  const [own, other] = [version, than].map((text) => text.split(/[.-]/).slice(0, 3).map(Number)) as [
    number[],
    number[],
  ];
  for (const [at, part] of own.entries()) {
    const against = other[at] ?? 0;
    if (part !== against) return part < against;
  }
  return false;
}

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
