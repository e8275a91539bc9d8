import type { Manifest } from "@muster/shared";

/** So many engines go with one wanted version at most, as its schema says. */
export const maxEnginesTold = 16;

/**
 * Those engines that were built of a model file of the manifest, in the order of its variants. An engine holds the weights in
 * the clear, so that there is none of an encrypted artifact.
 */
export function enginesOf<E extends { readonly engine: { readonly artifact: string } }>(
  { variants }: Pick<Manifest, "variants">,
  engines: readonly E[],
): E[] {
  const plain = variants.filter(({ artifact }) => artifact.encryption === undefined);
  return plain
    .flatMap(({ artifact }) => engines.filter(({ engine }) => engine.artifact === artifact.sha256))
    .slice(0, maxEnginesTold);
}
