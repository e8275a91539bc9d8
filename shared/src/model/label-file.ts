import { MusterError, type Problem } from "../errors.js";

/** The largest file of labels. */
export const maxLabelFileBytes = 1_000_000;

/** Where a pipeline's labels stand: in the description, or in a file beside it. */
interface Labelled {
  readonly labels?: readonly string[] | undefined;
  readonly labelsFile?: string | undefined;
  readonly characters?: string | undefined;
}

/** The file that holds the labels, by its path in the bundle; undefined when there is none. */
export function labelFileOf({ postprocess }: { readonly postprocess: object }): string | undefined {
  return (postprocess as Labelled).labelsFile;
}

/** Whether labels are missing that the task needs: most likely they lie in a file that was not read yet. */
export function lacksLabels({ postprocess }: { readonly postprocess: object }): boolean {
  const { labels, labelsFile } = postprocess as Labelled;
  return labels === undefined ? labelsFile !== undefined : labels.length === 0;
}

/** Where a description names no labels, or names them twice. */
export function labelSourceProblems({ postprocess }: { readonly postprocess: object }): Problem[] {
  const { labels, labelsFile, characters } = postprocess as Labelled;
  const given = (labels?.length ?? 0) > 0 || characters !== undefined;
  if (labelsFile !== undefined && given) {
    const other = characters === undefined ? "labels" : "characters";
    return [{ field: "postprocess.labelsFile", message: `is one place too many for labels; remove it, or ${other}` }];
  }
  // The text of a recogniser has a third way, and says so itself.
  if (labels === undefined || given || labelsFile !== undefined) return [];
  return [{ field: "postprocess.labels", message: "is missing; list the labels, or name a file of them: labelsFile" }];
}

/** The same description with the labels of its file. */
export function withLabels<T extends { readonly postprocess: object }>(described: T, labels: readonly string[]): T {
  return { ...described, postprocess: { ...described.postprocess, labels } };
}

/**
 * The labels of a file: UTF-8, one per line, in the order of the model's output; only the end of a line is cut off, so that
 * a space can be a label. Throws `bundle/invalid`, whose text begins with what is wrong and names the line.
 */
export function parseLabelFile(bytes: Uint8Array): string[] {
  if (bytes.length > maxLabelFileBytes) {
    throw new MusterError("bundle/invalid", `has ${bytes.length} bytes; at most ${maxLabelFileBytes} are taken`);
  }
  const lines = decoded(bytes)
    .replace(/\r?\n$/, "")
    .split(/\r?\n/);
  const empty = lines.indexOf("");
  if (empty < 0) return lines;
  const message = bytes.length === 0 ? "is empty; write one label per line" : `has nothing in line ${empty + 1}`;
  throw new MusterError("bundle/invalid", message);
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new MusterError("bundle/invalid", "is no UTF-8 text; save it as such", { cause });
  }
}
