import type { ShadowPlan } from "@muster/shared";

/** How often a version in the shadow gave the answer of the one that serves. */
export interface Agreement {
  readonly compared: number;
  readonly agreed: number;
}

export type ShadowVerdict =
  | { readonly kind: "wait" }
  | { readonly kind: "pass" }
  | { readonly kind: "fail"; readonly reason: string };

/** Fewer answers say nothing of a share. */
const minCompared = 20;

/**
 * Judges a version that ran beside the serving one: after its full time, and when an agreement is asked for only once
 * enough answers were compared, so that a device without inputs does not let a version through.
 */
export function judgeShadow({ ms, minAgreement }: ShadowPlan, seen: Agreement, phaseMs: number): ShadowVerdict {
  if (phaseMs < ms) return { kind: "wait" };
  if (minAgreement === 0) return { kind: "pass" };
  if (seen.compared < minCompared) return { kind: "wait" };
  if (seen.agreed / seen.compared >= minAgreement) return { kind: "pass" };
  const figures = `${seen.agreed} of ${seen.compared} answers`;
  return { kind: "fail", reason: `agreed with the serving version in ${figures}, less than ${minAgreement}` };
}

/** What the shadow has spent of its budget. */
export interface Spending {
  readonly atMs: number;
  /** Milliseconds of work that may be done now; below zero after a piece of work that took more. */
  readonly leftMs: number;
}

/** So much may be saved up, in milliseconds of real time. */
const savedMs = 2000;

/** The budget at a later time: it grows with time by its share, up to a limit. */
export function budgetAt(before: Spending, cpuShare: number, nowMs: number): Spending {
  const grown = before.leftMs + cpuShare * (nowMs - before.atMs);
  return { atMs: nowMs, leftMs: Math.min(cpuShare * savedMs, grown) };
}
