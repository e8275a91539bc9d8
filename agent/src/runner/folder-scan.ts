import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "@muster/shared/node";
import type { FileMark } from "./file-ledger.js";

/** A file as it was found. */
export interface FoundFile extends FileMark {
  readonly sizeBytes: number;
}

/** The files directly in a folder that end so; hidden ones, which are often still being written, are left out. */
export async function scanFolder(folder: string, endings: readonly string[]): Promise<FoundFile[]> {
  const isInput = (name: string) => endings.some((ending) => name.toLowerCase().endsWith(`.${ending.toLowerCase()}`));
  const names = (await readdir(folder)).filter((name) => isInput(name) && !name.startsWith("."));
  const found: FoundFile[] = [];
  for (const name of names) {
    try {
      const facts = await stat(join(folder, name));
      if (facts.isFile()) found.push({ name, mtimeMs: facts.mtimeMs, sizeBytes: facts.size });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return found;
}

/**
 * The files that nobody writes any more, oldest first: unchanged since the scan before, or last written
 * more than a poll ago.
 */
export function settledFiles(
  found: readonly FoundFile[],
  before: ReadonlyMap<string, FoundFile>,
  { nowMs, pollMs }: { nowMs: number; pollMs: number },
): FoundFile[] {
  const settled = found.filter(({ name, mtimeMs, sizeBytes }) => {
    const earlier = before.get(name);
    return (earlier?.sizeBytes === sizeBytes && earlier.mtimeMs === mtimeMs) || nowMs - mtimeMs > pollMs;
  });
  return settled.sort((a, b) => a.mtimeMs - b.mtimeMs || (a.name < b.name ? -1 : 1));
}
