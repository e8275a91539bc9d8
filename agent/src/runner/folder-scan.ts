import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "@muster/shared/node";
import type { FileMark } from "./file-ledger.js";

/** An image file as it was found. */
export interface FoundFile extends FileMark {
  readonly sizeBytes: number;
}

const imageName = /\.(?:jpe?g|png|webp)$/i;

/** The image files directly in a folder; hidden ones, which are often still being written, are left out. */
export async function scanFolder(folder: string): Promise<FoundFile[]> {
  const names = (await readdir(folder)).filter((name) => imageName.test(name) && !name.startsWith("."));
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
