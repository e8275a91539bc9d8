import type { Clock, Log, Window } from "@muster/shared";
import type { Runner, Spool } from "./ports.js";

export interface TelemetryDeps {
  readonly runner: Runner;
  readonly spool: Spool<Window>;
  readonly clock: Clock;
  readonly log: Log;
  readonly windowMs: number;
  /** A window was spooled. */
  readonly onWindow: (window: Window) => void;
}

/** Takes the runner's windows in a fixed rhythm and puts them into the durable spool. */
export class Telemetry {
  readonly #deps: TelemetryDeps;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Takes what there is once more, so that a clean stop loses nothing. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.#take();
  }

  async #run(): Promise<void> {
    const { clock, windowMs } = this.#deps;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(windowMs, this.#stop.signal).catch(() => undefined);
      if (!this.#stop.signal.aborted) await this.#take();
    }
  }

  async #take(): Promise<void> {
    const { runner, spool, log, onWindow } = this.#deps;
    try {
      for (const window of await runner.takeWindows()) {
        let numbered: Window | undefined;
        await spool.add((seq) => {
          numbered = { ...window, seq };
          return numbered;
        });
        if (numbered !== undefined) onWindow(numbered);
      }
    } catch (error) {
      // The runner is down; what it had measured since the last window is lost with it.
      log.warn("telemetry.window.lost", { error });
    }
  }
}
