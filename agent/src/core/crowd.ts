import { formatBytes } from "@muster/shared";

/** What a device gives to all its models together. */
export interface CrowdLimits {
  readonly maxModels: number;
  readonly memoryBytes: number;
}

/** A model and what it may take, as far as its manifest says. */
export interface Claim {
  readonly model: string;
  /** In MB of 1 000 000 bytes. */
  readonly memoryMb: number | undefined;
}

const megabyte = 1_000_000;

/**
 * Why a version has no place beside the other models of a device; undefined when it has. One that follows another version of
 * its model, `before`, takes that one's place, whatever the limits are by now: it is held to them only where it may take more.
 */
export function crowdedOut(
  { model, memoryMb }: Claim,
  { before, beside }: { readonly before?: Claim | undefined; readonly beside: readonly Claim[] },
  { maxModels, memoryBytes }: CrowdLimits,
): string | undefined {
  if (before === undefined && beside.length >= maxModels)
    return `this device has ${beside.length} other models and takes ${maxModels} (maxModels)`;
  if (memoryMb === undefined) return undefined;
  if (before?.memoryMb !== undefined && memoryMb <= before.memoryMb) return undefined;
  const taken = beside.reduce((sum, other) => sum + (other.memoryMb ?? 0) * megabyte, 0);
  const needed = memoryMb * megabyte;
  if (taken + needed <= memoryBytes) return undefined;
  const names = beside.filter((other) => other.memoryMb !== undefined).map((other) => other.model);
  const others = names.length === 0 ? "" : `, of which ${names.join(", ")} may take ${formatBytes(taken)}`;
  return `${model} may take ${formatBytes(needed)}; this device gives models ${formatBytes(memoryBytes)}${others}`;
}
