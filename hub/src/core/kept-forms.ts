/** A version, as far as its shorter forms go. */
export interface Release {
  readonly model: string;
  readonly release: number;
  /** Digest of its manifest. */
  readonly manifest: string;
}

/** So many of the newest releases of a model have shorter forms. */
export const releasesWithForms = 3;

/**
 * The manifests of those versions whose shorter forms (compressed chunks, deltas) are worth their room: the newest of
 * each model, which are what comes next, and those that a device is wanted to run, which may have to be fetched again.
 * All others can be sent as they are, and are made small again when they are wanted.
 */
export function keptForms(versions: readonly Release[], wanted: ReadonlySet<string>): Set<string> {
  const newest = new Map<string, Release[]>();
  for (const version of versions) newest.set(version.model, [...(newest.get(version.model) ?? []), version]);
  const kept = new Set<string>();
  for (const releases of newest.values()) {
    releases.sort((a, b) => b.release - a.release);
    for (const [at, { manifest }] of releases.entries())
      if (at < releasesWithForms || wanted.has(manifest)) kept.add(manifest);
  }
  return kept;
}
