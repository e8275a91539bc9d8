import type { DeviceError, TriedCandidate as Tried } from "@muster/shared";
import type { TrialResult } from "./protocol.js";

/** Medians closer than this share are the same: what is left is noise, and fewer threads leave room for others. */
const tieShare = 0.05;

/** TensorRT builds an engine at its first load, which takes minutes. */
const patience: Readonly<Record<string, number>> = { tensorrt: 10 };

/**
 * The part of the time left that the first of these candidates may take: a fair share, so that one that hangs does not use
 * up the time of those behind it.
 */
export function fairShareMs(leftMs: number, [first, ...others]: readonly { readonly provider: string }[]): number {
  const weight = (candidate: { readonly provider: string } | undefined) => patience[candidate?.provider ?? ""] ?? 1;
  const all = others.reduce((sum, candidate) => sum + weight(candidate), weight(first));
  return Math.max(1, (leftMs * weight(first)) / all);
}

/**
 * The result of a trial: of the correct candidates within a tie of the fastest median the one with the fewest threads,
 * which takes the least power, and of those the most promising. Without any it fails with the error of the first.
 */
export function chooseCandidate(tried: readonly Tried[]): TrialResult {
  const correct = tried.filter(({ rejected }) => rejected === undefined);
  const fastestMs = Math.min(...correct.map(medianMs));
  const [best] = correct
    .filter((one) => medianMs(one) <= fastestMs * (1 + tieShare))
    .sort((a, b) => a.threads - b.threads);
  if (best !== undefined) {
    const { variant, provider, threads } = best;
    return { kind: "passed", variant, provider, threads, tried: [...tried], remembered: false };
  }
  const error: DeviceError = tried[0]?.rejected ?? { code: "E_INTERNAL", detail: "nothing was tried" };
  return { kind: "failed", error, tried: [...tried] };
}

function medianMs({ p50Ms = 0 }: Tried): number {
  return p50Ms;
}
