import type { DeviceError, TriedCandidate as Tried } from "@muster/shared";
import type { TrialResult } from "./protocol.js";

/** Medians closer than this share are the same: what is left is noise, and fewer threads leave room for others. */
const tieShare = 0.05;

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
