import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { asMusterError, type Clock, type Log, MusterError, messageOf, sha256 } from "@muster/shared";
import { defaultImageLimits } from "@muster/shared/inference";
import { isMissing } from "@muster/shared/node";
import { FileLedger } from "./file-ledger.js";
import { type FoundFile, scanFolder, settledFiles } from "./folder-scan.js";
import type { InputAnswers } from "./inference.js";
import type { JsonlSink } from "./jsonl-sink.js";
import type { FolderSource as FolderSettings, RunnerStatus } from "./protocol.js";

/** What a source asks for answers. */
export interface Classifier {
  /** Whether a picture would be taken at once. */
  state(model: string): "open" | "full" | "not-serving";
  /** Throws `image/…` when the picture is at fault, and else when the model is. */
  classify(model: string, bytes: Uint8Array): Promise<InputAnswers>;
}

export interface FolderSourceDeps {
  readonly settings: FolderSettings;
  readonly stateDir: string;
  readonly classifier: Classifier;
  readonly sinks: readonly JsonlSink[];
  readonly clock: Clock;
  readonly log: Log;
}

/** So many files are read and answered at a time. */
const lanes = 2;
/** Done files are marked at most this often, which spares the flash memory of small boards. */
const markEveryMs = 1000;
const fullPauseMs = 20;
/** A file on which the model fails is tried so often; a roll-back may come meanwhile. */
const maxTries = 3;

/**
 * Takes the image files that appear in a folder, oldest first, each at least once: a file is marked or
 * deleted only after its answer is safe in the sinks.
 */
export class FolderSource {
  readonly #deps: FolderSourceDeps;
  readonly #ledger: FileLedger;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  /** Answered or given up, and not marked yet. */
  #unmarked: { readonly file: FoundFile; readonly answered: boolean }[] = [];
  #markedMs: number;
  #present: ReadonlySet<string> = new Set();
  #taken = 0;
  #failed = 0;
  #lastError: string | undefined;

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

  status(): RunnerStatus["sources"][number] {
    const { type, path } = this.#deps.settings;
    const lastError = this.#lastError === undefined ? {} : { lastError: this.#lastError };
    return { type, target: path, taken: this.#taken, failed: this.#failed, ...lastError };
  }

  /** Finishes the files in hand and marks them. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { settings, clock } = this.#deps;
    let before: ReadonlyMap<string, FoundFile> = new Map();
    while (!this.#stop.signal.aborted) {
      try {
        const found = await scanFolder(settings.path);
        this.#present = new Set(found.map(({ name }) => name));
        const settled = settledFiles(found, before, { nowMs: clock.now(), pollMs: settings.pollMs });
        before = new Map(found.map((file) => [file.name, file]));
        await this.#work(settled.filter((file) => !this.#isDone(file)));
        await this.#mark(settings.afterwards === "delete");
      } catch (error) {
        this.#complain(`cannot watch ${settings.path}: ${messageOf(error)}`, error);
      }
      await this.#pause(settings.pollMs);
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

  /** Answers one file, as late as it takes; returns without an answer only when it closes. */
  async #take(file: FoundFile): Promise<void> {
    const { settings, sinks, clock } = this.#deps;
    const { path: source, model } = settings;
    for (let tries = 1; ; ) {
      try {
        const answer = await this.#answer(file);
        if (answer === "closing") return;
        if (answer !== "gone") {
          const { version, answers } = answer;
          const record = { atMs: clock.now(), source, file: file.name, model, version };
          for (const sink of sinks) for (const one of answers) sink.add({ ...record, ...one });
          this.#taken += 1;
          this.#unmarked.push({ file, answered: true });
        }
        return;
      } catch (error) {
        const { code } = asMusterError(error);
        // Taken by others between the look and the call: wait again.
        if (code === "runner/overloaded" || code === "runner/not-serving" || code === "model/unknown") continue;
        if (!/^(?:image|input)\//.test(code) && tries < maxTries) {
          tries += 1;
          await this.#pause(settings.pollMs);
          continue;
        }
        this.#taken += 1;
        this.#failed += 1;
        this.#unmarked.push({ file, answered: false });
        this.#complain(`${file.name}: ${messageOf(error)}`, error);
        return;
      }
    }
  }

  async #answer({ name, sizeBytes }: FoundFile): Promise<InputAnswers | "gone" | "closing"> {
    const { settings, classifier } = this.#deps;
    if (sizeBytes > defaultImageLimits.maxBytes) {
      const { maxBytes } = defaultImageLimits;
      throw new MusterError("image/too-large", `the file has ${sizeBytes} bytes, at most ${maxBytes} are taken`);
    }
    let bytes: Buffer;
    try {
      bytes = await readFile(join(settings.path, name));
    } catch (error) {
      if (isMissing(error)) return "gone";
      throw new MusterError("image/invalid", `cannot be read: ${messageOf(error)}`, { cause: error });
    }
    for (;;) {
      if (this.#stop.signal.aborted) return "closing";
      const state = classifier.state(settings.model);
      if (state === "open") return classifier.classify(settings.model, bytes);
      await this.#pause(state === "full" ? fullPauseMs : settings.pollMs);
    }
  }

  /** Marks or deletes what is done, once its answers are safe. */
  async #mark(now: boolean): Promise<void> {
    const { settings, sinks, clock } = this.#deps;
    if (this.#unmarked.length === 0 || (!now && clock.now() - this.#markedMs < markEveryMs)) return;
    const batch = this.#unmarked;
    this.#unmarked = [];
    this.#markedMs = clock.now();
    try {
      await Promise.all(sinks.map((sink) => sink.sync()));
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
      this.#complain(`cannot delete ${name}: ${messageOf(error)}`, error);
      return false;
    }
  }

  #isDone(file: FoundFile): boolean {
    const waiting = this.#unmarked.some((done) => done.file.name === file.name && done.file.mtimeMs === file.mtimeMs);
    return waiting || this.#ledger.has(file);
  }

  #complainOfMarks(error: unknown): void {
    this.#complain(`cannot mark what is done: ${messageOf(error)}`, error);
  }

  /** Says each new complaint once. */
  #complain(text: string, error: unknown): void {
    if (text !== this.#lastError)
      this.#deps.log.warn("runner.source.failed", { path: this.#deps.settings.path, error });
    this.#lastError = text;
  }

  async #pause(ms: number): Promise<void> {
    await this.#deps.clock.sleep(ms, this.#stop.signal).catch(() => undefined);
  }
}
