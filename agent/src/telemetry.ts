import type { Clock, Log, Window } from "@muster/shared";
import type { Runner, Spool } from "./ports.js";
import { Rhythm } from "./rhythm.js";

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
  readonly #rhythm: Rhythm;

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
    this.#rhythm = new Rhythm(deps.windowMs, deps.clock, () => this.#take());
  }

  start(): void {
    this.#rhythm.start();
  }

  /** Takes what there is once more, so that a clean stop loses nothing. */
  async close(): Promise<void> {
    await this.#rhythm.close();
    await this.#take();
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
