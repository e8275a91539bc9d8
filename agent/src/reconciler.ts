import {
  backoffMs,
  type Clock,
  type DocStore,
  type Envelope,
  type Log,
  messageOf,
  type ReportedModel,
  type Root,
  Turns,
  type Wanted,
} from "@muster/shared";
import { blamed, faultOf } from "./core/blame.js";
import { type Facts, nextStep } from "./core/next-step.js";
import { DesiredInbox } from "./desired-inbox.js";
import { keepNeeded } from "./installed.js";
import { Outage } from "./outage.js";
import type { BlobShelf, RunnerEnding } from "./ports.js";
import { reportModel } from "./report-model.js";
import type { RunnerWindow } from "./runner/protocol.js";
import { type AgentState, emptyModel, type Installed, type ModelState, recovered } from "./state.js";
import type { Steps } from "./steps.js";
import { tellChanges } from "./tell-changes.js";
import { type Progress, Watch } from "./watch.js";

export interface ReconcilerDeps {
  readonly store: DocStore<AgentState>;
  readonly steps: Steps;
  readonly shelf: BlobShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly device: {
    readonly id: string;
    /** The root this device was told to trust when it joined. */
    readonly joined: Envelope;
    /** Something worth telling the hub happened. */
    readonly onEvent: (kind: string, fields: Record<string, unknown>) => Promise<void>;
    /** What {@link Reconciler.report} says has changed. */
    readonly onChange: () => void;
  };
}

/** How often a model with a candidate is looked at when nothing else happens. */
const lookMs = 500;
/** The pause after a step that could not even be stored, longer each time. */
const failurePause = { baseMs: 10_000, capMs: 60_000 };

/** Brings the device to what the hub wants, one durable step at a time, each model in a loop of its own. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #watches = new Map<string, Watch>();
  readonly #stop = new AbortController();
  readonly #inbox: DesiredInbox;
  #state: AgentState;
  readonly #outage = new Outage();
  readonly #writing = new Turns();

  private constructor(deps: ReconcilerDeps, state: AgentState) {
    this.#deps = deps;
    this.#state = state;
    const { device, clock, log } = deps;
    this.#inbox = new DesiredInbox({
      ...{ device, clock, log },
      state: () => this.#state,
      update: (change) => this.#update(change),
    });
  }

  /** Reads the durable state and takes back what an earlier run left unproven. */
  static async open(deps: ReconcilerDeps): Promise<Reconciler> {
    const state = recovered(await deps.store.read(), deps.clock.now());
    await deps.store.write(state);
    return new Reconciler(deps, state);
  }

  /** The durable state as it is now. */
  get state(): AgentState {
    return this.#state;
  }

  /** Why the last desired document was refused, or is not acted on. */
  get refusal(): string | undefined {
    return this.#inbox.refusal;
  }

  /** Whose signatures count now. */
  get root(): Root {
    return this.#inbox.trust.root;
  }

  /** Goes on with what was wanted before the restart. */
  start(): void {
    void this.#inbox.watchExpiry(this.#stop.signal);
    for (const model of this.#models()) this.#kick(model);
  }

  /** Takes a desired message and acts on it, again and again while it cannot be stored. */
  async take(message: unknown): Promise<void> {
    if (await this.#inbox.take(message, this.#stop.signal)) this.#act();
  }

  /** Verifies a desired message and acts on it; one that is refused changes nothing and is reported. */
  async accept(message: unknown): Promise<void> {
    if (await this.#inbox.accept(message)) this.#act();
  }

  #act(): void {
    for (const model of this.#models()) {
      const watch = this.#watch(model);
      const wanted = this.#wanted(model);
      if (watch.attempt !== undefined && watch.attempt !== wanted?.attempt)
        watch.abort.abort(new Error("no longer wanted"));
      this.#kick(model);
    }
  }

  /** The runner's process ended by itself, or had to be ended. */
  runnerEnded(ending: RunnerEnding): void {
    const atMs = this.#deps.clock.steady();
    this.#outage.ended(atMs);
    for (const { model, version, alone } of blamed(ending, this.#state.models)) {
      this.#watch(model).blamed(version, { atMs, alone, error: faultOf(ending) });
      this.#kick(model);
    }
  }

  /** The runner serves again after it had ended: what was committed, and nothing that was still to prove itself. */
  runnerRestored(): void {
    this.#outage.over();
    for (const [model, { candidate }] of Object.entries(this.#state.models)) {
      if (candidate?.phase === "shadow" || candidate?.phase === "probation") this.#watch(model).lost = true;
      this.#kick(model);
    }
  }

  /** What a version did in the window that just ended; counts while it is in the shadow or on probation. */
  observed(window: RunnerWindow): void {
    const candidate = this.#state.models[window.model]?.candidate;
    if (candidate === undefined || candidate.manifest.sha256 !== window.manifest) return;
    this.#watch(window.model).observed(candidate.phase, window);
    this.#kick(window.model);
  }

  /** A file of an installed version is not as it should be: it is fetched again when nothing else is under way. */
  async damaged(model: string, { manifest, version }: Installed): Promise<void> {
    const { damaged } = this.#watch(model);
    if (damaged.has(manifest)) return;
    damaged.add(manifest);
    this.#kick(model);
    await this.#deps.device.onEvent("model.damaged", { model, version });
  }

  /** What the hub is told of every model. */
  report(): ReportedModel[] {
    return this.#models().map((model) =>
      reportModel(model, this.#state.models[model] ?? emptyModel, this.#watches.get(model)?.progress),
    );
  }

  /** Does work that depends on what models need: no state changes meanwhile, so none is missed. */
  whileStill<T>(work: (state: AgentState) => Promise<T>): Promise<T> {
    return this.#writing.take(() => work(this.#state));
  }

  /** Stops between steps; a transfer stops where it is. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent is stopping"));
    await Promise.allSettled([...this.#watches.values()].map(({ loop }) => loop));
    await this.#writing.over();
  }

  #models(): string[] {
    const wanted = this.#state.desired?.models.map(({ model }) => model) ?? [];
    return [...new Set([...Object.keys(this.#state.models), ...wanted])].sort();
  }

  #wanted(model: string): Wanted | undefined {
    return this.#state.desired?.models.find((entry) => entry.model === model);
  }

  #kick(model: string): void {
    const watch = this.#watch(model);
    if (watch.loop !== undefined) {
      watch.again = true;
      return;
    }
    if (this.#stop.signal.aborted) return;
    watch.loop = this.#run(model, watch)
      .catch((error) => this.#afterFailure(model, watch, error))
      .finally(() => {
        watch.loop = undefined;
        if (watch.again && !this.#stop.signal.aborted) {
          watch.again = false;
          this.#kick(model);
        }
      });
  }

  /** What fails here is the device itself, such as a full disk: told, and tried again after a pause. */
  async #afterFailure(model: string, watch: Watch, error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const retryInMs = Math.round(backoffMs(failurePause, watch.failures, Math.random()));
    watch.failures += 1;
    this.#deps.log.error("reconciler.failed", { model, error, retryInMs });
    await this.#deps.clock.sleep(retryInMs, this.#stop.signal).catch(() => undefined);
    watch.again = true;
  }

  /** Steps until there is nothing to do; looks again from time to time while a candidate is watched. */
  async #run(model: string, watch: Watch): Promise<void> {
    const { clock, steps } = this.#deps;
    for (;;) {
      this.#stop.signal.throwIfAborted();
      watch.again = false;
      const state = this.#state.models[model] ?? emptyModel;
      const wanted = this.#wanted(model);
      const step = nextStep(wanted, state, this.#facts(model, watch));
      if (step === undefined) {
        if (state.candidate === undefined) return;
        await clock.sleep(lookMs, this.#stop.signal);
        continue;
      }
      watch.abort = new AbortController();
      watch.attempt = step.do === "repair" ? wanted?.attempt : state.candidate?.attempt;
      const signal = AbortSignal.any([watch.abort.signal, this.#stop.signal]);
      const engines = () => this.#wanted(model)?.engines ?? [];
      const onProgress = (progress: Progress) => {
        watch.progress = progress;
        this.#deps.device.onChange();
      };
      try {
        const after = await steps.run(step, { model, state, engines, signal, onProgress });
        if (after === state && step.do !== "repair") {
          await clock.sleep(lookMs, this.#stop.signal);
          continue;
        }
        await this.#store(model, state, after, watch);
        watch.failures = 0;
        if (step.do === "begin-shadow" || step.do === "activate") watch.lost = false;
        if (step.do === "repair") await this.#mended(model, watch, step.installed);
      } catch (error) {
        if (this.#stop.signal.aborted) throw error;
        if (watch.abort.signal.aborted) continue;
        // Nothing serves without the committed version; one to go back to waits until it is looked at again.
        if (step.do !== "repair" || step.installed === state.committed) throw error;
        await this.#mended(model, watch, step.installed, error);
      } finally {
        watch.attempt = undefined;
      }
    }
  }

  /** A damaged version is whole again, or `error` says why it is not. */
  async #mended(model: string, watch: Watch, { manifest, version }: Installed, error?: unknown): Promise<void> {
    const { log, device } = this.#deps;
    watch.damaged.delete(manifest);
    if (error === undefined) log.info("model.repaired", { model, version });
    else log.warn("model.unrepaired", { model, version, error });
    const reason = error === undefined ? {} : { reason: messageOf(error) };
    await device.onEvent(error === undefined ? "model.repaired" : "model.unrepaired", { model, version, ...reason });
  }

  async #store(model: string, before: ModelState, after: ModelState, watch: Watch): Promise<void> {
    const { device, log, shelf } = this.#deps;
    await this.#update((state) => ({ ...state, models: { ...state.models, [model]: after } }));
    if (after.candidate?.phase !== before.candidate?.phase) {
      watch.progress = undefined;
      watch.shadow = { compared: 0, agreed: 0 };
      if (after.candidate?.phase !== "probation") watch.probation = { inputs: 0, errors: 0 };
    }
    if (after.committed?.manifest !== before.committed?.manifest) watch.faults = [];
    await tellChanges(model, before, after, { log, onEvent: device.onEvent });
    // Exactly what current, last good and candidate need stays on disk.
    if (after.candidate === undefined) await this.whileStill((state) => keepNeeded(state, shelf));
    device.onChange();
  }

  #facts(model: string, watch: Watch): Facts {
    const { clock } = this.#deps;
    const { models } = this.#state;
    const beside = Object.entries(models).some(([name, { committed }]) => name !== model && committed !== undefined);
    const runnerDown = this.#outage.facts(clock.steady());
    return { ...watch.facts(models[model]?.candidate, { clock, beside }), expired: this.#inbox.expired, runnerDown };
  }

  #watch(model: string): Watch {
    const known = this.#watches.get(model) ?? new Watch();
    this.#watches.set(model, known);
    return known;
  }

  /** One change after the other; memory follows only what is on disk. */
  #update(change: (state: AgentState) => AgentState): Promise<void> {
    return this.#writing.take(async () => {
      const next = change(this.#state);
      await this.#deps.store.write(next);
      this.#state = next;
    });
  }
}
