import { formatBytes, type Manifest } from "@muster/shared";

/** What a device gives to all its models together. */
export interface CrowdLimits {
  readonly maxModels: number;
  readonly memoryBytes: number;
}

const megabyte = 1_000_000;

/**
 * Why a version has no place beside the versions of other models that a device has committed; undefined when it has. Memory
 * counts as far as the manifests say how much a version takes.
 */
export function crowdedOut(
  { model, budgets }: Pick<Manifest, "model" | "budgets">,
  beside: readonly Pick<Manifest, "model" | "budgets">[],
  { maxModels, memoryBytes }: CrowdLimits,
): string | undefined {
  if (beside.length >= maxModels)
    return `this device has ${beside.length} other models and takes ${maxModels} (maxModels)`;
  if (budgets.memoryMb === undefined) return undefined;
  const taken = beside.reduce((sum, other) => sum + (other.budgets.memoryMb ?? 0) * megabyte, 0);
  const needed = budgets.memoryMb * megabyte;
  if (taken + needed <= memoryBytes) return undefined;
  const names = beside.filter((other) => other.budgets.memoryMb !== undefined).map((other) => other.model);
  const others = names.length === 0 ? "" : `, of which ${names.join(", ")} may take ${formatBytes(taken)}`;
  return `${model} may take ${formatBytes(needed)}; this device gives models ${formatBytes(memoryBytes)}${others}`;
}
