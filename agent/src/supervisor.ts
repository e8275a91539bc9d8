import { backoffMs, type Clock, type Log, type ShadowPlan } from "@muster/shared";
import { type Look, overCap } from "./core/memory-cap.js";
import { isRunnerCrash } from "./faults.js";
import type { Runner, RunnerEnding, RunnerFault, RunnerProcess, StandIn } from "./ports.js";
import type { RunnerStatus, RunnerWindow, Slot } from "./runner/protocol.js";

export interface SupervisorDeps {
  readonly process: RunnerProcess;
  readonly standIn: StandIn;
  /** What has to serve after a start: per model the versions to try, the committed one first. */
  readonly restore: () => readonly (() => Promise<Slot>)[][];
  readonly on: {
    /** A version that was to serve could not be loaded. */
    readonly unusable: (error: unknown) => void;
    /** The process ended by itself, or had to be ended. */
    readonly ending: (ending: RunnerEnding) => void;
    /** It serves again after that. */
    readonly restored: () => void;
  };
  readonly clock: Clock;
  readonly log: Log;
}

const restart = { baseMs: 200, capMs: 30_000 };
/** A process that lived for so long did not crash on start. */
const settledMs = 60_000;
/** How often the process is asked whether it still answers, and what it takes. */
const pulseMs = 2000;

/** Keeps a runner running: starts it again when it ends, with the committed versions in service. */
export class RunnerSupervisor implements Runner {
  readonly #deps: SupervisorDeps;
  readonly #stop = new AbortController();
  readonly #endings: Record<RunnerFault, number> = { crash: 0, hang: 0, memory: 0 };
  #state: "starting" | "serving" | "down" = "down";
  #attempt = 0;
  #startedMs = 0;
  #restarting: Promise<void> = Promise.resolve();
  #watching: Promise<void> | undefined;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    deps.process.onExit((ending) => this.#onExit(ending));
  }

  get state(): "starting" | "serving" | "down" {
    return this.#state;
  }

  /** How often the process had to be started again, by what ended it. */
  get endings(): Readonly<Record<RunnerFault, number>> {
    return { ...this.#endings };
  }

  /** Throws `port/in-use` or what else keeps the first start from succeeding. */
  async start(): Promise<void> {
    const { process, standIn, restore, clock } = this.#deps;
    this.#state = "starting";
    this.#startedMs = clock.steady();
    await process.start(() => standIn.close());
    for (const choices of restore()) await this.#serveFirst(choices);
    this.#state = "serving";
    this.#watching ??= this.#watch();
  }

  /** The first version that loads serves; one that does not is told, and the next is tried. */
  async #serveFirst(choices: readonly (() => Promise<Slot>)[]): Promise<void> {
    const { process, on } = this.#deps;
    for (const choice of choices) {
      try {
        const slot = await choice();
        await process.load(slot);
        await process.activate(slot.manifestDigest);
        return;
      } catch (error) {
        // A crash is told by the exit, and what is loaded then is lost with the process.
        if (isRunnerCrash(error)) throw error;
        on.unusable(error);
      }
    }
  }

  load(slot: Slot): Promise<void> {
    return this.#deps.process.load(slot);
  }

  activate(manifestDigest: string): Promise<void> {
    return this.#deps.process.activate(manifestDigest);
  }

  shadow(manifestDigest: string, plan: ShadowPlan): Promise<void> {
    return this.#deps.process.shadow(manifestDigest, plan);
  }

  pauseShadows(paused: boolean): Promise<void> {
    return this.#deps.process.pauseShadows(paused);
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
    await this.#watching;
    await this.#deps.process.close();
    await this.#deps.standIn.close();
  }

  /** A process that hangs is killed by the question itself, one that takes too much by the answer. */
  async #watch(): Promise<void> {
    const { process, clock } = this.#deps;
    let before: Look = { over: false };
    while (!this.#stop.signal.aborted) {
      await clock.sleep(pulseMs, this.#stop.signal).catch(() => undefined);
      const pulse = this.#state === "serving" ? await process.pulse().catch(() => undefined) : undefined;
      before = overCap(pulse, before);
      if (before.kill !== undefined) process.kill("memory", before.kill);
    }
  }

  #onExit(ending: RunnerEnding): void {
    if (this.#stop.signal.aborted) return;
    const { clock, log, on } = this.#deps;
    if (clock.steady() - this.#startedMs > settledMs) this.#attempt = 0;
    this.#state = "down";
    this.#endings[ending.fault] += 1;
    log.error("runner.ended", { ...ending, endings: this.endings });
    on.ending(ending);
    this.#restarting = this.#restart(ending.detail);
  }

  async #restart(why: string): Promise<void> {
    const { clock, log, on } = this.#deps;
    const waitMs = backoffMs(restart, this.#attempt, Math.random());
    this.#attempt += 1;
    try {
      await this.#standIn(why);
      await clock.sleep(waitMs, this.#stop.signal);
      await this.start();
      on.restored();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      log.error("runner.restart.failed", { error });
      // A process that ended comes back through its exit; this one did not even start.
      if (!isRunnerCrash(error)) this.#restarting = this.#restart(why);
    }
  }

  /** Without a stand-in applications are refused by the machine; the restart must not fail for that. */
  async #standIn(why: string): Promise<void> {
    const { process, standIn, log } = this.#deps;
    if (process.serving === undefined) return;
    await standIn
      .open(process.serving, `${why}; it is being started again, try later`)
      .catch((error) => log.warn("runner.stand-in.failed", { error }));
  }
}
