import { type Envelope, type Hardware, type Manifest, type Root, verifyManifest, type Wanted } from "@muster/shared";
import { incompatibility } from "./core/compatibility.js";
import { machineKey } from "./core/machine.js";
import type { Step } from "./core/next-step.js";
import { planTrial } from "./core/provider-plan.js";
import { planVariants, type VariantBudget, type VariantPlan } from "./core/variant-plan.js";
import type { Crowd } from "./crowd.js";
import type { EngineCache } from "./engine-cache.js";
import { DeviceFault, isRunnerCrash, outcomeOf } from "./faults.js";
import { fetchVersion } from "./fetch-version.js";
import {
  acknowledged,
  candidateOf,
  commit,
  installedOf,
  offered,
  variantOf,
  variantsOf,
  withCandidate,
} from "./installed.js";
import type { BlobShelf, Runner, RunTrial } from "./ports.js";
import type { PrebuiltEngines } from "./prebuilt-engines.js";
import { artifactKey, engineFolder, proveVersion, takeEngines } from "./prove-version.js";
import type { Slot } from "./runner/protocol.js";
import { servedManifest, shelvedManifest, withFiles } from "./shelved.js";
import { emptyModel, type Installed, type ModelState } from "./state.js";
import type { Transfer } from "./transfer.js";
import type { Favourite } from "./trial-memory.js";
import { trialReport } from "./trial-report.js";
import type { Progress } from "./watch.js";
import { WayBack } from "./way-back.js";

export interface StepDeps {
  readonly shelf: BlobShelf;
  readonly transfer: Transfer;
  readonly runner: Runner;
  readonly trial: RunTrial;
  readonly favourite: Favourite;
  readonly device: {
    /** Whose signatures count now. */
    readonly root: () => Root;
    /** What keys of encrypted artifacts are wrapped for; PEM. */
    readonly sealingKey: string;
    readonly hardware: () => Promise<Hardware>;
    readonly agentVersion: string;
    readonly trialTimeoutMs: number;
    readonly engines: EngineCache;
    readonly prebuilt: Pick<PrebuiltEngines, "take">;
    /** Something worth telling the hub happened. */
    readonly tell: (kind: string, fields: Record<string, unknown>) => Promise<void>;
    readonly crowd: Crowd;
    /** What may be spent on finding the best variant. */
    readonly budget: Omit<VariantBudget, "diskBytes">;
  };
  readonly now: () => number;
}

/** What carrying out a step is about. */
export interface StepContext {
  readonly model: string;
  readonly state: ModelState;
  /** What the hub offers of engines now: it may have come to know of one since the attempt began. */
  readonly engines: () => readonly Envelope[];
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/**
 * Carries out one step and returns the state it leads to. A step that fails ends the attempt; only an abort, and what keeps a
 * repair from being done, is thrown. The very same state comes back when the runner ended meanwhile: whether that speaks
 * against the version is not for the step to say.
 */
export class Steps {
  readonly #deps: StepDeps;
  readonly #back: WayBack;

  constructor(deps: StepDeps) {
    this.#deps = deps;
    const { runner, now } = deps;
    this.#back = new WayBack({ runner, now, slot: (model, installed) => this.slot(model, installed) });
  }

  async run(step: Step, context: StepContext): Promise<ModelState> {
    try {
      return await this.#do(step, context);
    } catch (error) {
      // A repair is no attempt that could end.
      if (context.signal.aborted || step.do === "repair") throw error;
      if ((step.do === "activate" || step.do === "begin-shadow") && isRunnerCrash(error)) return context.state;
      return this.#back.giveUp(context.model, context.state, ...outcomeOf(error));
    }
  }

  /** The installed version as the runner takes it. Throws `artifact/…`. */
  async slot(model: string, installed: Installed): Promise<Slot> {
    const { version, artifact, provider, threads, manifest: manifestDigest, wrappedKey } = installed;
    const { shelf, device } = this.#deps;
    const manifest = await servedManifest(shelf, manifestDigest);
    return {
      ...{ model, version, manifestDigest, manifest, artifact, provider, threads },
      modelPath: shelf.path(artifact),
      ...artifactKey(manifest, artifact, wrappedKey, device.sealingKey),
      ...(await engineFolder(device, manifest, artifact, [provider])),
    };
  }

  async #do(step: Step, context: StepContext): Promise<ModelState> {
    const { model, state } = context;
    const nowMs = this.#deps.now();
    switch (step.do) {
      case "begin":
        return { ...state, candidate: offered(step.wanted, nowMs) };
      case "acknowledge":
        return acknowledged(state, step.wanted, nowMs);
      case "repair":
        return this.#repair(context, step.installed, step.wanted);
      case "describe":
        return this.#describe(context);
      case "download":
        return this.#download(context);
      case "begin-trial":
        return withCandidate(state, (candidate) => ({
          ...candidate,
          phase: "trial",
          phaseSinceMs: nowMs,
          trialStarts: candidate.trialStarts + 1,
        }));
      case "trial":
        return this.#trial(context);
      case "begin-shadow":
        return this.#beginShadow(context);
      case "activate":
        return this.#activate(context);
      case "commit":
        return commit(state, nowMs);
      case "give-up":
        return this.#back.giveUp(model, state, step.outcome, step.error);
      case "fall-back":
        return this.#back.fallBack(model, state, step.error);
      case "remove":
        return this.#remove(state);
    }
  }

  async #describe(context: StepContext): Promise<ModelState> {
    const { model, state, signal } = context;
    const { transfer, device } = this.#deps;
    const { manifest: ref, version, attempt } = candidateOf(state);
    await transfer.fetchSmall(ref, signal);
    const manifest = await this.#manifest(model, version, ref.sha256, context);
    const hardware = await device.hardware();
    const crowded = await device.crowd.admit(manifest, attempt, hardware.memoryBytes);
    if (crowded !== undefined) throw new DeviceFault("no-variant", "E_MEMORY", crowded);
    const unfit = incompatibility(manifest, hardware, device.agentVersion);
    if (unfit !== undefined) throw new DeviceFault("no-variant", "E_NO_VARIANT", unfit);
    const { variants } = this.#plan(manifest, hardware);
    if (variants.length === 0)
      throw new DeviceFault("no-variant", "E_NO_VARIANT", "no variant fits into this device's memory");
    const names = variants.map(({ name }) => name);
    const favourite = await this.#deps.favourite({
      ...{ manifest, candidates: planTrial(names, hardware), machine: machineKey(hardware) },
      variants: variants.map(({ name, artifact }) => ({ name, artifact: artifact.sha256 })),
    });
    const fetched = favourite === undefined ? names : [favourite];
    return withCandidate(state, (candidate) => ({
      ...candidate,
      phase: "downloading",
      phaseSinceMs: this.#deps.now(),
      release: manifest.release,
      variants: fetched,
    }));
  }

  #plan(manifest: Manifest, hardware: Hardware): VariantPlan {
    return planVariants(manifest, hardware, { ...this.#deps.device.budget, diskBytes: hardware.freeDiskBytes });
  }

  async #download(context: StepContext): Promise<ModelState> {
    const { model, state } = context;
    const candidate = candidateOf(state);
    const manifest = await this.#manifest(model, candidate.version, candidate.manifest.sha256, context);
    const variants = variantsOf(manifest, candidate);
    const fetched = await fetchVersion(this.#deps, { manifest, variants, hints: candidate.hints }, context);
    await takeEngines(this.#deps, manifest, fetched, context);
    return withCandidate(state, (before) => ({
      ...before,
      phase: "verified",
      phaseSinceMs: this.#deps.now(),
      variants: fetched,
    }));
  }

  /** Fetches what is damaged of an installed version; the committed one is put back in service. */
  async #repair(context: StepContext, installed: Installed, wanted: Wanted | undefined): Promise<ModelState> {
    const { transfer, shelf, runner } = this.#deps;
    const { model, state, signal } = context;
    const { manifest: sha256, manifestBytes = wanted?.manifest.sizeBytes } = installed;
    if (manifestBytes !== undefined) await transfer.fetchSmall({ sha256, sizeBytes: manifestBytes }, signal);
    const manifest = await shelvedManifest(shelf, sha256);
    const variants = [variantOf(manifest, installed.variant)];
    await fetchVersion(this.#deps, { manifest, variants, hints: wanted?.hints }, context);
    if (installed !== state.committed) return state;
    await runner.load(await this.slot(model, installed));
    await runner.activate(sha256);
    return state;
  }

  async #trial(context: StepContext): Promise<ModelState> {
    const { model, state, signal } = context;
    const { now } = this.#deps;
    const candidate = candidateOf(state);
    const { attempt, version } = candidate;
    const manifest = await this.#manifest(model, version, candidate.manifest.sha256, context);
    const result = await proveVersion(this.#deps, manifest, candidate, context);
    signal.throwIfAborted();
    const { skipped } = this.#plan(manifest, await this.#deps.device.hardware());
    const told = {
      ...state,
      trial: trialReport({ attempt, version, atMs: now() }, result, skipped, candidate.variants),
    };
    if (result.kind === "failed") return this.#back.giveUp(model, told, "rejected", result.error);
    const { provider, threads, variant } = result;
    return withCandidate(told, (before) => ({
      ...before,
      phase: "proven",
      phaseSinceMs: now(),
      variants: [variant],
      ...{ variant, artifact: variantOf(manifest, variant).artifact.sha256, provider, threads },
    }));
  }

  /** Runs the candidate beside the version that serves; its time begins anew when that was interrupted. */
  async #beginShadow({ model, state }: StepContext): Promise<ModelState> {
    const { shadow, ...candidate } = candidateOf(state);
    const installed = installedOf(candidate);
    await this.#deps.runner.load(await this.slot(model, installed));
    if (shadow !== undefined) await this.#deps.runner.shadow(installed.manifest, shadow);
    return withCandidate(state, (before) => ({ ...before, phase: "shadow", phaseSinceMs: this.#deps.now() }));
  }

  async #activate({ model, state }: StepContext): Promise<ModelState> {
    const installed = installedOf(candidateOf(state));
    await this.#deps.runner.load(await this.slot(model, installed));
    await this.#deps.runner.activate(installed.manifest);
    return withCandidate(state, (candidate) => ({ ...candidate, phase: "probation", phaseSinceMs: this.#deps.now() }));
  }

  async #remove(state: ModelState): Promise<ModelState> {
    if (state.committed !== undefined) await this.#deps.runner.unload(state.committed.manifest);
    return { ...emptyModel, releaseFloor: state.releaseFloor, finished: state.finished };
  }

  async #manifest(model: string, version: string, digest: string, { state, signal }: StepContext): Promise<Manifest> {
    const { shelf, transfer, device } = this.#deps;
    const envelope: unknown = JSON.parse((await shelf.read(digest)).toString("utf8"));
    const { releaseFloor, previous } = state;
    const wanted = { model, version, releaseFloor, lastGood: previous?.manifest, digest };
    const manifest = verifyManifest(envelope, device.root(), wanted);
    for (const file of manifest.files ?? []) await transfer.fetchSmall(file, signal);
    return withFiles(shelf, manifest);
  }
}
