import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The files a kernel tells facts by, under a root that is another folder in a test. */
export class FactTree {
  readonly #root: string;

  constructor(root = "/") {
    this.#root = root;
  }

  /** The text of a file without the NUL that ends device-tree strings; undefined when it cannot be read. */
  async text(path: string): Promise<string | undefined> {
    try {
      const text = await readFile(join(this.#root, path), "utf8");
      return text.replace(/\0+$/, "").trim() || undefined;
    } catch {
      // No machine has all of these files, and some need rights that an agent has not.
      return undefined;
    }
  }

  /** The whole number in a file; undefined when there is none. */
  async integer(path: string): Promise<number | undefined> {
    const text = await this.text(path);
    return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
  }

  /** The names in a folder that match, in the order of the numbers in them; none when there is no folder. */
  async names(path: string, pattern: RegExp): Promise<string[]> {
    const all = await readdir(join(this.#root, path)).catch(() => []);
    const numeric = new Intl.Collator("en", { numeric: true });
    return all.filter((name) => pattern.test(name)).sort(numeric.compare);
  }
}
