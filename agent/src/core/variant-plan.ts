import { formatBytes, type Hardware, type Manifest, type ManifestVariant } from "@muster/shared";
import { hasNvidia } from "./provider-plan.js";

/** What a device may spend on finding the best variant. */
export interface VariantBudget {
  /** How many variants are fetched and tried at most. */
  readonly maxVariants: number;
  /** Larger artifacts are not taken. */
  readonly maxArtifactBytes: number;
  /** Room on the disk. */
  readonly diskBytes: number;
  /** Bytes that may be fetched for a choice beyond the first variant; undefined when the link is not metered. */
  readonly dataBytes: number | undefined;
}

/** The variants to fetch and try, in order of promise, and why others are not. */
export interface VariantPlan {
  readonly variants: readonly ManifestVariant[];
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
}

type Precision = ManifestVariant["precision"];

const megabyte = 1_000_000;
/** Room for the journal of a transfer and what the file system adds. */
const diskMargin = 1.1;
/** Multiplying bytes at the speed of a dot product makes quantised models pay. */
const fastBytes = ["dotprod", "i8mm", "avx512_vnni", "avx_vnni", "amx_int8"];

/**
 * The variants worth fetching: those that fit, in order of promise for this hardware and then of the author, as many as the
 * budget has room for. The first that fits memory is taken whatever it costs: without it there is nothing to run, and what
 * keeps it from being fetched is told by the transfer.
 */
export function planVariants(manifest: Manifest, hardware: Hardware, budget: VariantBudget): VariantPlan {
  const order = promise(hardware);
  const sorted = [...manifest.variants].sort((a, b) => order.indexOf(a.precision) - order.indexOf(b.precision));
  const variants: ManifestVariant[] = [];
  const skipped: { what: string; reason: string }[] = [];
  let bytes = 0;
  for (const variant of sorted) {
    const { sizeBytes } = variant.artifact;
    const reason =
      unfit(manifest, variant, hardware) ??
      (variants.length === 0 ? undefined : overBudget(variant, hardware, variants.length, bytes, budget));
    if (reason !== undefined) {
      skipped.push({ what: variant.name, reason });
      continue;
    }
    variants.push(variant);
    bytes += sizeBytes;
  }
  return { variants, skipped };
}

/** Precisions by how fast they promise to be here. */
function promise(hardware: Hardware): readonly Precision[] {
  if (hasNvidia(hardware)) return ["fp16", "int8-qdq", "fp32", "int8-weights"];
  const features = hardware.features ?? [];
  if (fastBytes.some((feature) => features.includes(feature))) return ["int8-qdq", "fp32", "int8-weights", "fp16"];
  return ["fp32", "int8-qdq", "int8-weights", "fp16"];
}

function unfit({ budgets }: Manifest, { artifact }: ManifestVariant, { memoryBytes }: Hardware): string | undefined {
  // A session holds the weights twice while it loads.
  const needed = Math.max(2 * artifact.sizeBytes, (budgets.memoryMb ?? 0) * megabyte);
  if (needed <= memoryBytes) return undefined;
  return `it needs ${formatBytes(needed)} of memory, this device has ${formatBytes(memoryBytes)}`;
}

/** Why a variant is not worth trying beside others. */
function overBudget(
  { precision, artifact: { sizeBytes } }: ManifestVariant,
  hardware: Hardware,
  before: number,
  beforeBytes: number,
  { maxVariants, maxArtifactBytes, diskBytes, dataBytes }: VariantBudget,
): string | undefined {
  if (precision === "fp16" && !hasNvidia(hardware) && hardware.features?.includes("fp16") !== true) {
    return "this processor has no arithmetic for fp16";
  }
  if (before >= maxVariants) return `${maxVariants} variants are tried already (maxVariantsTried)`;
  if (sizeBytes > maxArtifactBytes) return `it is larger than ${formatBytes(maxArtifactBytes)} (maxArtifactBytes)`;
  const allBytes = beforeBytes + sizeBytes;
  if (allBytes * diskMargin > diskBytes) return `the disk has ${formatBytes(diskBytes)} free`;
  if (dataBytes !== undefined && allBytes > dataBytes) {
    return `more than ${formatBytes(dataBytes)} would be fetched (transferBytesPerDay)`;
  }
  return undefined;
}
