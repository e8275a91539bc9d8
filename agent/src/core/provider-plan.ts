import type { Hardware } from "@muster/shared";

/** One way to run a version on this device. */
export interface ProviderCandidate {
  readonly provider: string;
  readonly threads: number;
}

/** One way to run one variant. */
export interface TrialCandidate extends ProviderCandidate {
  readonly variant: string;
}

/** Providers by how fast they promise to be, where they work. */
const promise = ["tensorrt", "cuda", "qnn", "coreml", "dml", "webgpu", "cpu"];
/** The processor always works and is tried last: it is what is left when nothing else is. */
export const everywhere = "cpu";
/** Past this width a model of an edge device does not get faster, and each width costs seconds. */
const maxThreads = 16;
/** With so many cores, a quarter of them is tried too. */
const manyCores = 8;
/** A trial is a matter of minutes; past this the least promising are left out. */
export const maxCandidates = 24;

/** Whether a GPU is seen that CUDA can use. */
export function hasNvidia({ gpus = [] }: Pick<Hardware, "gpus">): boolean {
  return gpus.some(({ name }) => name.includes("NVIDIA"));
}

/** Whether a provider builds engines that are worth keeping; TensorRT takes minutes for one. */
export function keepsEngines(provider: string): boolean {
  return provider === "tensorrt";
}

/** Whether `to` promises less than `from`; a provider that is not known promises least. */
export function isStepDown(from: string, to: string): boolean {
  const rank = (provider: string) => (promise.includes(provider) ? promise.indexOf(provider) : promise.length);
  return rank(to) > rank(from);
}

/**
 * What a trial tries, in order of promise. Only a real run tells whether a provider works, so one that may work is tried;
 * one that has nothing to run on is not. CUDA and TensorRT are tried wherever there is a GPU for them, also when the build
 * has none: the trial then says so.
 */
export function planProviders(hardware: Hardware): ProviderCandidate[] {
  const installed = new Set([...hardware.providers, ...(hasNvidia(hardware) ? ["tensorrt", "cuda"] : [])]);
  installed.delete(everywhere);
  const others = [...installed].filter((provider) => mayWork(provider, hardware));
  others.sort((a, b) => (isStepDown(a, b) ? -1 : Number(isStepDown(b, a))));
  const processor = threadWidths(hardware).map((threads) => ({ provider: everywhere, threads }));
  return [...others.map((provider) => ({ provider, threads: 1 })), ...processor];
}

/** Every variant on every provider, the most promising provider first and on it the most promising variant. */
export function planTrial(variants: readonly string[], hardware: Hardware): TrialCandidate[] {
  const ways = planProviders(hardware);
  const byProvider = [...new Set(ways.map(({ provider }) => provider))];
  const all = byProvider.flatMap((provider) =>
    variants.flatMap((variant) => ways.filter((way) => way.provider === provider).map((way) => ({ variant, ...way }))),
  );
  return all.slice(0, maxCandidates);
}

function mayWork(provider: string, { platform, gpus = [], accelerators = [] }: Hardware): boolean {
  if (provider === "tensorrt" || provider === "cuda") return hasNvidia({ gpus });
  // Elsewhere the agent reads no such facts, and the build has a provider only where it is usual.
  if (platform !== "linux") return true;
  if (provider === "webgpu") return gpus.length > 0;
  if (provider === "qnn") return accelerators.includes("Qualcomm Hexagon");
  return true;
}

/**
 * Widths to measure: more threads are not always faster, so one, half and all of the fast cores. With a slow core among
 * its threads a run waits for that one.
 */
function threadWidths({ cores, clusters = [] }: Hardware): number[] {
  const fast = Math.min(cores, clusters[0]?.cores ?? cores, maxThreads);
  const quarter = fast >= manyCores ? [Math.ceil(fast / 4)] : [];
  return [...new Set([1, ...quarter, Math.ceil(fast / 2), fast])];
}
