import type { Backoff } from "@muster/shared";

/** The span in which a certificate is valid, epoch ms. */
export interface Validity {
  readonly fromMs: number;
  readonly expiresMs: number;
}

/** When a certificate is to be renewed: at two thirds of its life. */
export function renewAtMs({ fromMs, expiresMs }: Validity): number {
  return fromMs + ((expiresMs - fromMs) * 2) / 3;
}

/** Whether renewal should have worked long ago: less than a sixth of the life is left. */
export function isOverdue({ fromMs, expiresMs }: Validity, nowMs: number): boolean {
  return expiresMs - nowMs < (expiresMs - fromMs) / 6;
}

/** How long to wait after a renewal that failed, so that a short life still has room for many tries. */
export function renewalBackoff({ fromMs, expiresMs }: Validity): Backoff {
  const lifeMs = expiresMs - fromMs;
  return { baseMs: Math.min(60_000, lifeMs / 50), capMs: Math.min(3_600_000, lifeMs / 15) };
}
