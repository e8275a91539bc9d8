import { binCount, type Feature, psi, psiThreshold, total } from "@muster/shared";

/** How far one feature of the recent inputs lies from its reference. */
export interface FeatureDrift {
  readonly feature: string;
  /** Population stability index. */
  readonly psi: number;
  /** The index above which the change is real; undefined while there are too few inputs. */
  readonly threshold: number | undefined;
  readonly drifting: boolean;
}

/** With fewer inputs nothing is said: the χ² approximation behind the threshold needs filled bins. */
export const minDriftInputs = 30;

/**
 * Drift of every feature of a baseline, worst first in proportion to its threshold. `counts` are the
 * recent inputs in the baseline's bins; features that are missing there count as unseen.
 */
export function measureDrift(
  baseline: Readonly<Record<string, Feature>>,
  counts: Readonly<Record<string, readonly number[]>>,
): FeatureDrift[] {
  const features = Object.keys(baseline).length;
  const rows = Object.entries(baseline).map(([feature, reference]): FeatureDrift => {
    const recent = counts[feature] ?? [];
    const current = total(recent);
    if (current < minDriftInputs) return { feature, psi: 0, threshold: undefined, drifting: false };
    const distance = psi(recent, reference.counts);
    const threshold = psiThreshold({
      bins: binCount(reference),
      current,
      reference: total(reference.counts),
      features,
    });
    return { feature, psi: distance, threshold, drifting: distance > threshold };
  });
  const weight = ({ psi: distance, threshold }: FeatureDrift) => (threshold === undefined ? 0 : distance / threshold);
  return rows.sort((a, b) => weight(b) - weight(a));
}
