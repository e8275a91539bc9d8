import type { Hardware, Manifest } from "@muster/shared";

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
