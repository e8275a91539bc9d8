/** Limits of a retry delay. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * The wait before retry number `attempt` (from 0): full jitter, uniform in 0 to
 * min(cap, base × 2^attempt), so that a fleet that lost its hub does not come back in step.
 * `random` is uniform in [0, 1). Never less than a tenth of the base, so a loop cannot spin.
 */
export function backoffMs({ baseMs, capMs }: Backoff, attempt: number, random: number): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.max(baseMs / 10, ceiling * random);
}
