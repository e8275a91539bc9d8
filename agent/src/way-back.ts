import type { DeviceError, Outcome } from "@muster/shared";
import { isRunnerCrash } from "./faults.js";
import type { Runner } from "./ports.js";
import type { Slot } from "./runner/protocol.js";
import { type Installed, type ModelState, withFinished } from "./state.js";

export interface WayBackDeps {
  readonly runner: Pick<Runner, "load" | "activate" | "unload">;
  /** An installed version as the runner takes it. */
  readonly slot: (model: string, installed: Installed) => Promise<Slot>;
  readonly now: () => number;
}

/** Ends attempts, and gives up versions for the ones before them. */
export class WayBack {
  readonly #deps: WayBackDeps;

  constructor(deps: WayBackDeps) {
    this.#deps = deps;
  }

  /** Ends the attempt. A version that was in service gives way to the committed one first. */
  async giveUp(model: string, state: ModelState, outcome: Outcome, error: DeviceError): Promise<ModelState> {
    const { candidate, committed } = state;
    if (candidate === undefined) return state;
    const { attempt, version, manifest, phase } = candidate;
    let ended = outcome;
    if (phase === "probation" || phase === "shadow" || phase === "proven") {
      ended = (await this.#serve(model, committed, candidate.manifest.sha256)) ? outcome : "rollback-failed";
    }
    const { candidate: _, ...rest } = state;
    return withFinished(rest, {
      attempt,
      version,
      manifest: manifest.sha256,
      outcome: ended,
      error,
      atMs: this.#deps.now(),
    });
  }

  /** Puts the version before in service again, or takes the model out when there is none. */
  async fallBack(model: string, state: ModelState, error: DeviceError): Promise<ModelState> {
    const { committed, previous } = state;
    if (committed === undefined) return state;
    const outcome: Outcome = (await this.#serve(model, previous, committed.manifest))
      ? "rolled-back"
      : "rollback-failed";
    const { previous: _, committed: __, ...rest } = state;
    const { attempt, version, manifest } = committed;
    return withFinished(previous === undefined ? rest : { ...rest, committed: previous }, {
      ...{ attempt, version, manifest, outcome, error, atMs: this.#deps.now() },
    });
  }

  /** Puts a version back in service instead of another; false when that failed. */
  async #serve(model: string, installed: Installed | undefined, instead: string): Promise<boolean> {
    const { runner } = this.#deps;
    try {
      if (installed !== undefined) {
        await runner.load(await this.#deps.slot(model, installed));
        await runner.activate(installed.manifest);
      }
      if (installed?.manifest !== instead) await runner.unload(instead);
      return true;
    } catch (error) {
      // A crashed runner comes back with the committed version by itself.
      return isRunnerCrash(error);
    }
  }
}
