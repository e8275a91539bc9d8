import type { DeviceError } from "@muster/shared";
import type { TrialResult } from "./protocol.js";

/** One way to run a version that was tried. */
export type Tried = TrialResult["tried"][number];

/** A way that is correct and fast enough, and what it needs. */
export interface Proven {
  readonly provider: string;
  readonly threads: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly rssBytes: number;
}

/** How trying one candidate ended. */
export type Trying =
  | { readonly kind: "proven"; readonly proven: Proven }
  | { readonly kind: "rejected"; readonly tried: Tried };

/** Medians closer than this share are the same: what is left is noise, and fewer threads leave room for others. */
const tieShare = 0.05;

/**
 * The result of a trial: of the candidates within a tie of the fastest median the one with the fewest
 * threads, and of those the first. Without any it fails with the error of the first candidate.
 */
export function chooseCandidate(tryings: readonly Trying[]): TrialResult {
  const proven = tryings.flatMap((trying) => (trying.kind === "proven" ? [trying.proven] : []));
  const tried = tryings.map(toTried);
  const fastestMs = Math.min(...proven.map(({ p50Ms }) => p50Ms));
  const [best] = proven
    .filter(({ p50Ms }) => p50Ms <= fastestMs * (1 + tieShare))
    .sort((a, b) => a.threads - b.threads);
  if (best !== undefined) return { kind: "passed", ...best, tried };
  const error: DeviceError = tried[0]?.rejected ?? { code: "E_INTERNAL", detail: "nothing was tried" };
  return { kind: "failed", error, tried };
}

function toTried(trying: Trying): Tried {
  if (trying.kind === "rejected") return trying.tried;
  const { provider, threads, p50Ms, p95Ms } = trying.proven;
  return { provider, threads, p50Ms, p95Ms };
}
