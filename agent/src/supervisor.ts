import { backoffMs, type Clock, type Log, MusterError } from "@muster/shared";
import type { Runner, RunnerProcess } from "./ports.js";
import type { RunnerStatus, RunnerWindow, Slot } from "./runner/protocol.js";

export interface SupervisorDeps {
  readonly process: RunnerProcess;
  /** What has to serve after a start: per model the versions to try, the committed one first. */
  readonly restore: () => readonly (() => Promise<Slot>)[][];
  /** A version that was to serve could not be loaded. */
  readonly onUnusable: (error: unknown) => void;
  /** The process ended by itself. */
  readonly onCrash: () => void;
  /** It serves again after that. */
  readonly onRestored: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const restart = { baseMs: 200, capMs: 30_000 };
/** A process that lived for so long did not crash on start. */
const settledMs = 60_000;

/** Keeps a runner running: starts it again when it ends, with the committed versions in service. */
export class RunnerSupervisor implements Runner {
  readonly #deps: SupervisorDeps;
  readonly #stop = new AbortController();
  #state: "starting" | "serving" | "down" = "down";
  #restarts = 0;
  #attempt = 0;
  #startedMs = 0;
  #restarting: Promise<void> = Promise.resolve();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    deps.process.onExit(({ code, signal }) => this.#onExit(code, signal));
  }

  get state(): "starting" | "serving" | "down" {
    return this.#state;
  }

  /** How often the process had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Throws `port/in-use` or what else keeps the first start from succeeding. */
  async start(): Promise<void> {
    const { process, restore, clock } = this.#deps;
    this.#state = "starting";
    this.#startedMs = clock.steady();
    await process.start();
    for (const choices of restore()) await this.#serveFirst(choices);
    this.#state = "serving";
  }

  /** The first version that loads serves; one that does not is told, and the next is tried. */
  async #serveFirst(choices: readonly (() => Promise<Slot>)[]): Promise<void> {
    const { process, onUnusable } = this.#deps;
    for (const choice of choices) {
      try {
        const slot = await choice();
        await process.load(slot);
        await process.activate(slot.manifestDigest);
        return;
      } catch (error) {
        // A crash is told by the exit, and what is loaded then is lost with the process.
        if (error instanceof MusterError && error.code === "runner/crashed") throw error;
        onUnusable(error);
      }
    }
  }

  load(slot: Slot): Promise<void> {
    return this.#deps.process.load(slot);
  }

  activate(manifestDigest: string): Promise<void> {
    return this.#deps.process.activate(manifestDigest);
  }

  unload(manifestDigest: string): Promise<void> {
    return this.#deps.process.unload(manifestDigest);
  }

  takeWindows(): Promise<RunnerWindow[]> {
    return this.#deps.process.takeWindows();
  }

  status(): Promise<RunnerStatus> {
    return this.#deps.process.status();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#state = "down";
    await this.#restarting;
    await this.#deps.process.close();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stop.signal.aborted) return;
    const { clock, log, onCrash } = this.#deps;
    if (clock.steady() - this.#startedMs > settledMs) this.#attempt = 0;
    this.#state = "down";
    this.#restarts += 1;
    log.error("runner.crashed", { code, signal, restarts: this.#restarts });
    onCrash();
    this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    const { clock, log } = this.#deps;
    const waitMs = backoffMs(restart, this.#attempt, Math.random());
    this.#attempt += 1;
    try {
      await clock.sleep(waitMs, this.#stop.signal);
      await this.start();
      this.#deps.onRestored();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      log.error("runner.restart.failed", { error });
      // A process that ended comes back through its exit; this one did not even start.
      if (!(error instanceof MusterError && error.code === "runner/crashed")) this.#restarting = this.#restart();
    }
  }
}
