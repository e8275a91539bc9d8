import { type FileHandle, open } from "node:fs/promises";

/** Files kept open that nobody reads now. */
const maxIdle = 32;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  uses: number;
  /** It is closed as soon as nobody reads it. */
  dropped: boolean;
}

/** Files that are read again and again, kept open; the one unused for longest is closed. They must never change. */
export class OpenFiles {
  /** In order of use, oldest first. */
  readonly #files = new Map<string, OpenFile>();

  /** Does the work with the file opened for reading. Throws what opening it, or the work, throws. */
  async use<T>(path: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const file = this.#files.get(path) ?? { handle: open(path, "r"), uses: 0, dropped: false };
    this.#files.delete(path);
    this.#files.set(path, file);
    file.uses += 1;
    try {
      return await work(await file.handle);
    } catch (error) {
      // One that could not be opened may be there later.
      await file.handle.catch(() => this.#forget(path, file));
      throw error;
    } finally {
      file.uses -= 1;
      if (file.dropped && file.uses === 0) closeQuietly(file);
      this.#trim();
    }
  }

  /** Closes a file once nobody reads it; no error when it is not open. */
  close(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#forget(path, file);
    file.dropped = true;
    if (file.uses === 0) closeQuietly(file);
  }

  #forget(path: string, file: OpenFile): void {
    if (this.#files.get(path) === file) this.#files.delete(path);
  }

  #trim(): void {
    if (this.#files.size <= maxIdle) return;
    for (const [path, { uses }] of this.#files) {
      if (this.#files.size <= maxIdle) return;
      if (uses === 0) this.close(path);
    }
  }
}

function closeQuietly({ handle }: OpenFile): void {
  // A file that could not be opened has nothing to close.
  handle.then((file) => file.close()).catch(() => undefined);
}
