import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, MusterError, messageOf, type SourceReport, sha256 } from "@muster/shared";
import { isMissing } from "@muster/shared/node";
import type { FolderSource as FolderSettings } from "./feed-settings.js";
import { FileLedger } from "./file-ledger.js";
import { type FoundFile, scanFolder, settledFiles } from "./folder-scan.js";
import { checkSize, type Intake } from "./intake.js";
import type { Source } from "./source.js";

export interface FolderSourceDeps {
  readonly settings: FolderSettings;
  readonly stateDir: string;
  readonly intake: Intake;
  readonly clock: Clock;
}

/** So many files are read and answered at a time. */
const lanes = 2;
/** Done files are marked at most this often, which spares the flash memory of small boards. */
const markEveryMs = 1000;

/**
 * Takes the files that appear in a folder, oldest first, each at least once: a file is marked or
 * deleted only after its answer is safe in the sinks.
 */
export class FolderSource implements Source {
  readonly #deps: FolderSourceDeps;
  readonly #ledger: FileLedger;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  /** Answered or given up, and not marked yet. */
  #unmarked: { readonly file: FoundFile; readonly answered: boolean }[] = [];
  #markedMs: number;
  #present: ReadonlySet<string> = new Set();

  private constructor(deps: FolderSourceDeps, ledger: FileLedger) {
    this.#deps = deps;
    this.#ledger = ledger;
    this.#markedMs = deps.clock.now();
    this.#loop = this.#run();
  }

  /** Starts to watch; the folder may come later. */
  static async start(deps: FolderSourceDeps): Promise<FolderSource> {
    const { path, model } = deps.settings;
    const name = `folder-${sha256(JSON.stringify([path, model])).slice(0, 16)}.jsonl`;
    return new FolderSource(deps, await FileLedger.open(join(deps.stateDir, name)));
  }

  status(): SourceReport {
    return this.#deps.intake.report();
  }

  /** Finishes the files in hand and marks them. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { settings, clock, intake } = this.#deps;
    let before: ReadonlyMap<string, FoundFile> = new Map();
    while (!this.#stop.signal.aborted) {
      try {
        const found = await scanFolder(settings.path, settings.endings);
        intake.standing.running();
        this.#present = new Set(found.map(({ name }) => name));
        const settled = settledFiles(found, before, { nowMs: clock.now(), pollMs: settings.pollMs });
        before = new Map(found.map((file) => [file.name, file]));
        await this.#work(settled.filter((file) => !this.#isDone(file)));
        await this.#mark(settings.afterwards === "delete");
      } catch (error) {
        intake.standing.failed(`cannot watch ${settings.path}: ${messageOf(error)}`, error);
      }
      await clock.sleep(settings.pollMs, this.#stop.signal).catch(() => undefined);
    }
    await this.#mark(true).catch((error) => this.#complainOfMarks(error));
  }

  async #work(files: FoundFile[]): Promise<void> {
    const next = files.values();
    const lane = async () => {
      for (const file of next) {
        if (this.#stop.signal.aborted) return;
        await this.#take(file);
        await this.#mark(false).catch((error) => this.#complainOfMarks(error));
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** Answers one file, as late as it takes; returns without an answer only when it closes or the file is gone. */
  async #take(file: FoundFile): Promise<void> {
    const { intake } = this.#deps;
    // Not read before there is room for it: what waits, waits on the disk.
    if (!(await intake.room(this.#stop.signal))) return;
    try {
      const bytes = await this.#read(file);
      if (bytes === undefined) return;
      const taken = await intake.take({ name: file.name, bytes }, this.#stop.signal);
      if (taken !== "closing") this.#unmarked.push({ file, answered: taken === "answered" });
    } catch (error) {
      intake.refuse(file.name, error);
      this.#unmarked.push({ file, answered: false });
    }
  }

  async #read({ name, sizeBytes }: FoundFile): Promise<Buffer | undefined> {
    checkSize(sizeBytes);
    try {
      return await readFile(join(this.#deps.settings.path, name));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new MusterError("image/invalid", `cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Marks or deletes what is done, once its answers are safe. */
  async #mark(now: boolean): Promise<void> {
    const { settings, intake, clock } = this.#deps;
    if (this.#unmarked.length === 0 || (!now && clock.now() - this.#markedMs < markEveryMs)) return;
    const batch = this.#unmarked;
    this.#unmarked = [];
    this.#markedMs = clock.now();
    try {
      await intake.safe();
      const kept: FoundFile[] = [];
      for (const { file, answered } of batch) {
        // What could not be read stays, for a person to look at.
        if (settings.afterwards === "keep" || !answered || !(await this.#delete(file))) kept.push(file);
      }
      await this.#ledger.add(kept, this.#present);
    } catch (error) {
      this.#unmarked = [...batch, ...this.#unmarked];
      throw error;
    }
  }

  async #delete({ name, mtimeMs }: FoundFile): Promise<boolean> {
    const path = join(this.#deps.settings.path, name);
    try {
      // A camera may have written a new picture under the same name; that one is still to be answered.
      if ((await stat(path)).mtimeMs === mtimeMs) await rm(path, { force: true });
      return true;
    } catch (error) {
      if (isMissing(error)) return true;
      this.#deps.intake.standing.complain(`cannot delete ${name}: ${messageOf(error)}`, error);
      return false;
    }
  }

  #isDone(file: FoundFile): boolean {
    const waiting = this.#unmarked.some((done) => done.file.name === file.name && done.file.mtimeMs === file.mtimeMs);
    return waiting || this.#ledger.has(file);
  }

  #complainOfMarks(error: unknown): void {
    this.#deps.intake.standing.complain(`cannot mark what is done: ${messageOf(error)}`, error);
  }
}
