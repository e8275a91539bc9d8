import type { Bundle } from "./bundle.js";

/** Where a bundle's reference inputs lie and how many there have to be. */
export interface References {
  /** The field that names the folder, for messages. */
  readonly field: string;
  /** The folder in the bundle, ending in a slash. */
  readonly folder: string;
  readonly most: number;
  /** Files that have to be there; a table holds many inputs. */
  readonly least: number;
  /** Whether a file of the folder is an input, by its name. */
  isInput(path: string): boolean;
  /** The ends of names that are inputs, for messages. */
  readonly endings: readonly string[];
}

/** A distribution of fewer inputs says nothing. */
export const minReferenceInputs = 20;

const endings: Record<Bundle["preprocess"]["decode"], readonly string[]> = {
  image: [".jpg", ".jpeg", ".png", ".webp"],
  table: [".csv", ".json"],
  audio: [".wav"],
  tensors: [".json", ".npy"],
};

/** The reference inputs a bundle names; undefined without a baseline. */
export function referencesOf({ baseline, preprocess: { decode } }: Bundle): References | undefined {
  const named = baseline?.images ?? baseline?.inputs;
  if (baseline === undefined || named === undefined) return undefined;
  const known = endings[decode];
  return {
    field: baseline.images === undefined ? "baseline.inputs" : "baseline.images",
    folder: named.endsWith("/") ? named : `${named}/`,
    most: baseline.maxImages,
    least: decode === "table" ? 1 : minReferenceInputs,
    isInput: (path) => known.some((ending) => path.toLowerCase().endsWith(ending)),
    endings: known,
  };
}
